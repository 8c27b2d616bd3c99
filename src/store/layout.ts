import { abortError } from '../abort.ts';
import { bytesBody } from '../body.ts';
import { cannot, type RegistryError } from '../errors.ts';
import { type Descriptor, parseDescriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { kindOf, mediaTypes } from '../oci/manifest.ts';
import { checkRange } from '../oci/range.ts';
import { checkName } from '../oci/reference.ts';
import { isOfType, referrerOf } from '../oci/referrer.ts';
import { builtin } from '../runtime.ts';
import type {
  CallOptions,
  Deleter,
  Fetched,
  FetchOptions,
  Keeper,
  Lister,
  Mounts,
  Opener,
  Referrers,
  ReferrersOptions,
  ResumableStore,
  Sessions,
  Source,
  Uploads,
} from '../source.ts';
import { checkPlain } from '../text/problems.ts';
import { type Blobs, checkSize, createBlobs } from './blobs.ts';
import {
  findDigest,
  findName,
  type LayoutIndex,
  nameOf,
  namesOf,
  plainDescriptor,
  withKept,
  withName,
  withoutDigest,
  withoutName,
} from './entries.ts';
import { readMode } from './file-io.ts';
import { collectGarbage, type GarbageOptions, type LayoutGarbage } from './garbage.ts';
import { guardedFiles } from './guarded-files.ts';
import { createIndexFile, type IndexFile } from './index-file.ts';
import type { LockFolder } from './lock.ts';
import { nodeFiles } from './node-files.ts';
import { processOwners } from './owner.ts';
import { createExpectations } from './push/expected.ts';
import { createUnsynced } from './push/small-content.ts';
import type { OpenAt } from './push/task.ts';
import { createPreparation, createPush } from './push.ts';
import { fileBody, openToKeep } from './reading/file-body.ts';
import { createSmall, smallOffers } from './reading/small.ts';
import { createSession } from './session.ts';
import { fileSystemError, storeError } from './store-error.ts';
import { createUploads } from './uploads.ts';
import { type LayoutReport, type VerifyOptions, verifyLayout } from './verify.ts';
import { walk } from './walk.ts';

/** A directory that is an OCI image layout. Errors of the file system are `STORE_ERROR`. */
export interface LayoutStore
  extends ResumableStore,
    Opener,
    Keeper,
    Lister,
    Referrers,
    Sessions,
    Deleter,
    Uploads,
    Mounts {
  readonly name: string;
  /** Absolute. */
  readonly directory: string;
  /**
   * Reads all content again and compares it with its digests, and with the sizes that manifests and `index.json` give;
   * checks whether what `index.json` names is complete here. Changes nothing. `STORE_ERROR` if there is no layout, or one
   * that has lost its `index.json`.
   */
  verify(options?: VerifyOptions): Promise<LayoutReport>;
  /**
   * Removes content that no entry of `index.json` reaches, and what broke off; not yet what a server took within the last hour
   * (`grace`), unless it had a name meanwhile. Nothing is removed if a document cannot be
   * read (`BAD_RESPONSE`); if there is no layout, if `index.json` or a manifest that says what is needed is missing, or
   * while somebody writes into it, from `begin` to its end or in one push of more than 64 KiB (`STORE_ERROR`).
   */
  gc(options?: GarbageOptions): Promise<LayoutGarbage>;
}

/** What a layout is called, and in tests what it stands on. */
export interface LayoutOptions extends Partial<Pick<LockFolder, 'files' | 'owners' | 'waits' | 'goneAfter'>> {
  readonly name?: string | undefined;
  /** Most bytes of a content that is received into memory, and then written at once. Default: 64 KiB. */
  readonly mostSmall?: number | undefined;
  /** The directory of another layout of the same registry, whose content this one may have by a link; undefined for no other. */
  readonly directoryOf?: ((source: Source) => string | undefined) | undefined;
}

/**
 * An OCI image layout: `oci-layout`, `index.json` and `blobs/<algorithm>/<hex>` in one directory, as skopeo, crane, umoci
 * and others read and write it. A directory that is empty or does not exist is an empty layout, created by the first push.
 * Any number of processes may use one at a time.
 *
 * Names are the annotation `org.opencontainers.image.ref.name` of entries of `index.json`; what containerd calls an image
 * is found, too, and `latest` is also the only entry of a layout if it has no name. When a name moves, its old content is
 * left to `gc`. Manifests that refer to another are entered without a name, as nothing else would lead to them.
 *
 * What is being downloaded, and what broke off and can be resumed, is in `.ocifetch` of the directory, which is removed
 * when it is empty. Content gets its final name when its size and digest are right, and is named by the index when the disk has
 * it. Up to 64 KiB are received into memory and then written at once, unless others are at work in the directory.
 * `fetch` does not verify: `Content` does. What another process placed just now is named without waiting for the disk: after a loss of
 * power (not of a process) its bytes may be missing, which `verify` reports and another pull repairs.
 *
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md · `UNSUPPORTED` without `node:fs`.
 */
export const layoutStore = (
  directory: string | URL,
  { name }: { readonly name?: string | undefined } = {},
): LayoutStore => createLayout(directory, { name });

/** What the index becomes with `target`; undefined if it stays as it is. */
type Entering = (now: LayoutIndex, target: Descriptor) => LayoutIndex | undefined;

/** `layoutStore` over any file system. */
export function createLayout(given: string | URL, options: LayoutOptions = {}): LayoutStore {
  const { owners = processOwners(), waits, goneAfter } = options;
  const paths = nodePaths();
  const { join } = paths;
  const directory = directoryOf(given, paths);
  const files = guardedFiles(options.files ?? nodeFiles(), directory, paths);
  const name = options.name ?? `oci:${directory}`;
  const locks: LockFolder = { files, owners, folder: join(directory, '.ocifetch'), join, waits, goneAfter, active: 0 };
  const blobs = createBlobs(directory, locks);
  const index = createIndexFile(directory, locks);
  const session = createSession(locks);
  const unsynced = createUnsynced(files);
  const expectations = createExpectations(locks, blobs);
  const { described, named, entered, missing } = createCatalogue(name, blobs, index);

  /** Enters content that is here, if `change` does. What the index names is on the disk before the index is. */
  const enter = async (given: Descriptor, attempted: string, change: Entering, signal?: AbortSignal): Promise<void> => {
    refuseAborted(signal);
    const target = await entered(parseDescriptor(given), attempted);
    await unsynced.syncAll();
    if (!change(await index.read(), target)) return expectations.settle(target);
    await blobs.sync();
    await index.update(async (now) => {
      // `gc` locks the index while it removes content, and may have been here just now.
      if (!(await blobs.factsOf(target.digest))) throw missing(attempted, target.digest);
      await session.check('write index.json of');
      return change(now, target);
    }, signal);
    await expectations.settle(target);
  };

  const keep = (target: Descriptor, { signal }: CallOptions = {}): Promise<void> =>
    enter(target, 'keep', withKept, signal);

  const preparation = createPreparation({ locks, blobs, index });
  const parts = { locks, blobs, preparation, session, expectations, unsynced, keep };
  const push = createPush({ ...parts, mostSmall: options.mostSmall });

  const read = async (target: Descriptor, { range, signal, links }: FetchOptions = {}): Promise<Fetched> => {
    refuseAborted(signal);
    const bytes = blobs.taken(target, links);
    if (bytes) {
      const { start, end } = checkRange(range ?? { start: 0 }, bytes.length);
      return { descriptor: target, body: bytesBody(bytes.subarray(start, end)), from: name };
    }
    const path = blobs.pathOf(target.digest);
    const opened = await openToKeep(() => blobs.open(target.digest, links));
    try {
      const found = opened?.found ?? (await blobs.factsOf(target.digest, { links }));
      if (!found) throw missing('fetch', target.digest);
      checkSize(target, path, found.size);
      const closed = checkRange(range ?? { start: 0 }, found.size);
      const body = fileBody(files, path, closed, { signal, mode: readMode(links), opened });
      return { descriptor: { ...target, size: found.size }, body, from: name };
    } catch (error) {
      await opened?.close();
      throw error;
    }
  };

  const store: LayoutStore = {
    name,
    directory,
    async resolve(reference, options = {}) {
      refuseAborted(options.signal);
      if (!isDigest(reference)) return named(reference, options);
      await session.markIfLayout(options.signal);
      return described(reference, 'resolve', options);
    },
    fetch: read,
    async open(digest, options = {}) {
      await session.markIfLayout(options.signal);
      return read({ mediaType: mediaTypes.octets, digest, size: -1 }, options);
    },
    async push(target, body, options = {}) {
      let isOpened = false;
      const open: OpenAt = () => {
        isOpened = true;
        return body;
      };
      try {
        await push(target, open, false, options);
      } finally {
        // A body that is not read is cancelled.
        if (!isOpened) await body[Symbol.asyncIterator]().return?.();
      }
    },
    pushFrom: (target, open, options = {}) => push(target, open, true, options),
    async tag(given, tagName, { signal } = {}) {
      checkName(tagName);
      const change: Entering = (now, target) => withName(now, target, tagName);
      await enter(given, `give the name "${tagName}" to`, change, signal);
    },
    async untag(tagName, { signal } = {}) {
      refuseAborted(signal);
      await index.update((now) => {
        const left = withoutName(now, tagName);
        if (!left) throw missing('untag', tagName);
        return left;
      }, signal);
    },
    async remove(digest, { signal, onUntagged } = {}) {
      refuseAborted(signal);
      const path = blobs.pathOf(digest);
      if (!(await blobs.factsOf(digest))) throw missing('remove', digest);
      // First the names, so that none of them can be left without its content.
      let names: readonly string[] = [];
      await index.update((now) => {
        names = namesOf(now, digest);
        return withoutDigest(now, digest);
      }, signal);
      await index.update(async (now) => {
        if (!findDigest(now, digest)) await files.remove(path);
        return undefined;
      }, signal);
      for (const name of names) onUntagged?.(name);
    },
    async mount(digest, from, { signal, isExpected } = {}) {
      refuseAborted(signal);
      const other = options.directoryOf?.(from);
      if (other === undefined) return false;
      await from.resolve(digest, { signal, verify: true, links: false });
      await preparation.prepare(digest, signal);
      await session.mark(signal);
      if (isExpected) await expectations.note(digest);
      const isLinked = await files.link(createBlobs(other, locks).pathOf(digest), blobs.pathOf(digest));
      return isLinked || (await blobs.factsOf(digest)) !== undefined;
    },
    keep,
    begin: () => {
      const end = session.begin();
      return async () => {
        await unsynced.syncAll().catch(() => {});
        await end();
        if (!session.isOpen()) await unsynced.end();
      };
    },
    ...createUploads({ locks, blobs, prepare: preparation.prepare, expectations }),
    async tags({ signal, links } = {}) {
      refuseAborted(signal);
      const names = (await index.read(links)).entries.map(nameOf).filter((each) => each !== undefined);
      return [...new Set(names)].sort();
    },
    async referrers(digest, options = {}) {
      refuseAborted(options.signal);
      return referrersIn(await index.read(options.links), blobs, digest, options);
    },
    verify: async (options = {}) => {
      checkPlain('verify a layout', options);
      return verifyLayout({ locks, blobs, index }, options);
    },
    gc: async (options = {}) => {
      checkPlain('collect garbage', options);
      return collectGarbage({ locks, blobs, index }, options);
    },
  };
  smallOffers.set(store, () => createSmall({ directory, locks, blobs, index, isNoting: session.isOpen }));
  return store;
}

export type NodePaths = Pick<typeof import('node:path'), 'join' | 'dirname' | 'resolve' | 'sep'>;

/** The absolute path of a directory that is given as a path or a `file:` URL, which may be of another realm. */
function directoryOf(given: string | URL, { resolve }: NodePaths): string {
  const text = `${given}`;
  const isUrl = typeof given !== 'string' || /^file:\/\//i.test(text);
  try {
    return isUrl ? (builtin('node:url')?.fileURLToPath(text) ?? text) : resolve(text);
  } catch (cause) {
    if (!isUrl) throw fileSystemError('use directory', text, cause);
    throw storeError('use directory', text, 'expected a path or a file: URL of this machine');
  }
}

export function nodePaths(): NodePaths {
  const paths = builtin('node:path');
  if (!paths) throw cannot('UNSUPPORTED', 'use an image layout', 'this runtime has no node:path');
  return paths;
}

/** What a layout knows of its contents. */
interface Catalogue {
  /** What is known of content by its digest. `NOT_FOUND`. */
  described(digest: Digest, attempted: string, options?: CallOptions): Promise<Descriptor>;
  /** What a name stands for. `NOT_FOUND`, also if its content is not here; `BAD_RESPONSE` for an invalid entry. */
  named(name: string, options?: CallOptions): Promise<Descriptor>;
  /** The target as the layout enters it: with the size of its file and, if it is a manifest, a media type that says so. */
  entered(target: Descriptor, attempted: string): Promise<Descriptor>;
  /** The error for what is not here. */
  missing(attempted: string, reference: string): RegistryError;
}

function createCatalogue(name: string, blobs: Blobs, index: IndexFile): Catalogue {
  const missing: Catalogue['missing'] = (attempted, reference) =>
    cannot('NOT_FOUND', `${attempted} "${reference}"`, `not in ${name}`, { value: reference });
  const described: Catalogue['described'] = async (digest, attempted, options = {}) => {
    const found = await blobs.described(digest, options, async (facts) => {
      const known = findDigest(await index.read(options.links), digest)?.descriptor;
      if (known) return { ...plainDescriptor(known), size: facts.size };
      return { mediaType: await blobs.typeOf(digest, facts, options.links), digest, size: facts.size };
    });
    if (!found) throw missing(attempted, digest);
    return found;
  };
  return {
    missing,
    described,
    named: async (reference, { links, content } = {}) => {
      const entry = findName(await index.read(links), reference);
      if (!entry) throw missing('resolve', reference);
      if (!entry.descriptor) {
        const found = entry.problem ?? 'its entry is invalid';
        throw cannot('BAD_RESPONSE', `resolve "${reference}" in ${name}`, found, { value: reference });
      }
      const { descriptor } = entry;
      const { digest } = descriptor;
      const described = await blobs.described(digest, { links, content }, ({ size }) => {
        return { ...plainDescriptor(descriptor), size };
      });
      if (!described) {
        const found = `its content "${digest}" is not in ${name}`;
        throw cannot('NOT_FOUND', `resolve "${reference}"`, found, { value: reference });
      }
      return described;
    },
    entered: async (target, attempted) => {
      const found = await described(target.digest, attempted);
      checkSize(target, blobs.pathOf(target.digest), found.size);
      const isKnown = kindOf(target.mediaType) === 'manifests' || kindOf(found.mediaType) === 'blobs';
      return { ...target, mediaType: isKnown ? target.mediaType : found.mediaType, size: found.size };
    },
  };
}

/** The manifests that `index.json` reaches and that refer to a digest, in the order of their digests. */
async function referrersIn(
  index: LayoutIndex,
  blobs: Blobs,
  digest: Digest,
  { artifactType, signal, links }: ReferrersOptions,
): Promise<readonly Descriptor[]> {
  const found: Descriptor[] = [];
  // An invalid document refers to nothing.
  for await (const { as, bytes, descriptor } of walk(index, blobs, { signal, links, onInvalid: () => {} })) {
    if (as === 'part') break;
    const referrer = bytes && referrerOf(bytes, plainDescriptor(descriptor));
    if (referrer?.subject !== digest) continue;
    if (artifactType === undefined || isOfType(referrer.descriptor.artifactType, artifactType))
      found.push(referrer.descriptor);
  }
  return found.sort((a, b) => (a.digest < b.digest ? -1 : 1));
}

function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal.reason);
}
