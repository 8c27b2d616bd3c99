import { abortError } from '../deadline.ts';
import { cannot } from '../errors.ts';
import { type Descriptor, parseDescriptor } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { checkRange } from '../oci/range.ts';
import { checkName } from '../oci/reference.ts';
import { builtin } from '../runtime.ts';
import type { CallOptions } from '../source.ts';
import { checkSize, createBlobs } from './blobs.ts';
import { createCatalogue } from './catalogue.ts';
import { type LayoutIndex, nameOf, withKept, withName, withoutName } from './entries.ts';
import type { Files } from './files.ts';
import type { Open } from './fill.ts';
import { collectGarbage } from './garbage.ts';
import { createIndexFile } from './index-file.ts';
import type { LayoutStore } from './layout-store.ts';
import { nodeFiles } from './node-files.ts';
import type { Holding } from './others.ts';
import { type Owners, processOwners } from './owner.ts';
import { createPush } from './push.ts';
import { fileBody } from './read-body.ts';
import { referrersIn } from './referrers.ts';
import { createSession } from './session.ts';
import { verifyLayout } from './verify.ts';

export type { LayoutStore } from './layout-store.ts';

/** How a layout is called, and for tests what it stands on. */
export interface LayoutParts {
  readonly name?: string | undefined;
  readonly files?: Files | undefined;
  readonly owners?: Owners | undefined;
}

/**
 * An OCI image layout: `oci-layout`, `index.json` and `blobs/<algorithm>/<hex>` in one directory, as skopeo, crane, umoci
 * and others read and write it. A directory that is empty or not there is an empty layout, made by the first push. Any
 * number of processes may use one at a time.
 *
 * Names are the annotation `org.opencontainers.image.ref.name` of entries of `index.json`; what containerd calls an image
 * is found, too, and `latest` is also the only entry of a layout where it has no name. A name that moves leaves its old
 * content to `gc`. Manifests that refer to another are entered without a name, as nothing else would tell of them.
 *
 * What is being downloaded, and what broke off and can be gone on with, lies in `.ocifetch` of the directory, which is
 * removed when it is empty. Content gets its final name when its size and digest are right and the disk has it.
 * `fetch` does not verify: `Content` does.
 *
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md · `UNSUPPORTED` without `node:fs`.
 */
export const layoutStore = (directory: string, { name }: { readonly name?: string | undefined } = {}): LayoutStore =>
  createLayout(directory, { name });

/** `layoutStore` over any file system. */
export function createLayout(given: string, parts: LayoutParts = {}): LayoutStore {
  const { files = nodeFiles(), owners = processOwners() } = parts;
  const paths = builtin('node:path');
  if (!paths) throw cannot('UNSUPPORTED', 'use an image layout', 'this runtime has no node:path');
  const directory = paths.resolve(given);
  const name = parts.name ?? `oci:${directory}`;
  const holding: Holding = { files, owners, folder: paths.join(directory, '.ocifetch'), join: paths.join, active: 0 };
  const blobs = createBlobs(directory, holding);
  const index = createIndexFile(directory, holding);
  const session = createSession(holding);
  const { described, named, entered, missing } = createCatalogue(name, blobs, index);

  type Make = (now: LayoutIndex, target: Descriptor) => LayoutIndex | undefined;
  /** Enters what is here, if `make` does. What the index names is on the disk before it is. */
  const enter = async (given: Descriptor, attempted: string, make: Make, signal?: AbortSignal): Promise<void> => {
    refuseAborted(signal);
    const target = await entered(parseDescriptor(given), attempted);
    if (!make(await index.read(), target)) return;
    await blobs.sync();
    await index.update(async (now) => {
      // Who collects garbage holds the index meanwhile, and may have been here just now.
      if (!(await blobs.factsOf(target.digest))) throw missing(attempted, target.digest);
      await session.check('write index.json of');
      return make(now, target);
    }, signal);
  };

  const keep = (target: Descriptor, { signal }: CallOptions = {}): Promise<void> =>
    enter(target, 'keep', withKept, signal);

  const push = createPush({ holding, blobs, index }, session, keep);

  return {
    name,
    directory,
    async resolve(reference, { signal } = {}) {
      refuseAborted(signal);
      if (isDigest(reference)) await session.markIfLayout(signal);
      return isDigest(reference) ? described(reference, 'resolve') : named(reference);
    },
    async fetch(target, { range, signal } = {}) {
      refuseAborted(signal);
      const path = blobs.pathOf(target.digest);
      const facts = await files.facts(path);
      if (!facts) throw missing('fetch', target.digest);
      checkSize(target, path, facts.size);
      const closed = checkRange(range ?? { start: 0 }, facts.size);
      const body = fileBody(files, path, closed, signal);
      return { descriptor: { ...target, size: facts.size }, body, from: name };
    },
    async push(target, body, options = {}) {
      let isTaken = false;
      const open: Open = () => {
        isTaken = true;
        return body;
      };
      try {
        await push(target, open, false, options);
      } finally {
        // A body that is not read is left, which cancels it.
        if (!isTaken) await body[Symbol.asyncIterator]().return?.();
      }
    },
    pushFrom: (target, open, options = {}) => push(target, open, true, options),
    async tag(given, tagName, { signal } = {}) {
      checkName(tagName);
      const make: Make = (now, target) => withName(now, target, tagName);
      await enter(given, `give the name "${tagName}" to`, make, signal);
    },
    async untag(tagName, { signal } = {}) {
      refuseAborted(signal);
      await index.update((now) => {
        const left = withoutName(now, tagName);
        if (!left) throw missing('untag', tagName);
        return left;
      }, signal);
    },
    keep,
    begin: session.begin,
    async tags({ signal } = {}) {
      refuseAborted(signal);
      const names = (await index.read()).entries.map(nameOf).filter((each) => each !== undefined);
      return [...new Set(names)].sort();
    },
    async referrers(digest, { artifactType, signal } = {}) {
      refuseAborted(signal);
      return referrersIn(await index.read(), blobs, { digest, artifactType, signal });
    },
    verify: (options = {}) => verifyLayout({ holding, blobs, index }, options),
    gc: (options = {}) => collectGarbage({ holding, blobs, index }, options),
  };
}

function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal.reason);
}
