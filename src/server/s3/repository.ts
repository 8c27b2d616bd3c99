import { readAll } from '../../body.ts';
import { cannot } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { isDigest } from '../../oci/digest.ts';
import { defaultManifestBytes, kindOf } from '../../oci/manifest.ts';
import { isOfType, referrerOf } from '../../oci/referrer.ts';
import type {
  CallOptions,
  Deleter,
  Fetched,
  FetchOptions,
  Lister,
  Locates,
  Mounts,
  Opener,
  Referrers,
  Source,
  Store,
  Uploads,
} from '../../source.ts';
import { quote } from '../../text/quote.ts';
import { isIntact, leave, pushBytes } from './blobs.ts';
import { type BucketKeys, readEntry, writeEntry } from './entries.ts';
import type { ObjectStorage } from './objects.ts';
import { bucketUploads } from './uploads.ts';

/** A repository in a bucket: a store with every ability. */
export interface BucketStore extends Store, Opener, Lister, Referrers, Deleter, Uploads, Mounts, Partial<Locates> {
  readonly name: string;
}

/** Where a repository is kept. */
export interface BucketPlace {
  readonly name: string;
  readonly objects: ObjectStorage;
  readonly keys: BucketKeys;
  /** Seconds that the URLs of content are valid; undefined: content is not read from the bucket itself. */
  readonly urlSeconds: number | undefined;
}

/** What is kept of a repository, for those that mount from it. */
const places = new WeakMap<Source, BucketPlace>();

/** Most entries that are read at the same time. */
const readsAtOnce = 16;

/** A repository whose content is objects of a bucket. It exists as long as it has content. */
export function bucketStore(place: BucketPlace): BucketStore {
  const { name, objects, keys, urlSeconds } = place;
  const entries = entriesOf(place);
  const { find, get, enter } = entries;
  const store: BucketStore = {
    name,
    ...readsOf(place, entries),
    ...listsOf(place),
    ...removalsOf(place, entries),
    ...bucketUploads(place, async (target, options) => enter(target, await find(target.digest, options), options)),
    async push(target, body, options = {}) {
      const known = await find(target.digest, options);
      if (known?.size === target.size) await leave(body);
      else await pushBytes(place, target, body, options);
      await enter(target, known, options);
    },
    async tag(target, tag, options = {}) {
      const found = await get(target.digest, `give the name "${tag}" to`, options);
      await writeEntry(objects, keys.tag(name, tag), found, options.signal);
    },
    async mount(digest, from, options = {}) {
      const other = places.get(from);
      if (other?.objects !== objects) return false;
      const found = await readEntry(objects, keys.content(other.name, digest), options.signal);
      if (!found) throw cannot('NOT_FOUND', `mount "${digest}"`, `not in ${other.name}`, { value: digest });
      await enter(found, await find(digest, options), options);
      return true;
    },
    ...(urlSeconds !== undefined && {
      locate: (target: Descriptor) => objects.urlOf(keys.blob(target.digest), urlSeconds),
    }),
  };
  places.set(store, place);
  return store;
}

/** What a repository has, by digest and by tag. */
interface Entries {
  /** Content is in the repository if it has an entry, which has its descriptor. */
  find(digest: string, options: CallOptions): Promise<Descriptor | undefined>;
  /** What a tag or digest stands for. `NOT_FOUND`. */
  get(reference: string, attempted: string, options: CallOptions): Promise<Descriptor>;
  /** Makes it part of the repository; as a manifest, if it is one by any of its types. */
  enter(target: Descriptor, known: Descriptor | undefined, options: CallOptions): Promise<void>;
}

function entriesOf(place: BucketPlace): Entries {
  const { name, objects, keys } = place;
  const find: Entries['find'] = (digest, { signal }) => readEntry(objects, keys.content(name, digest), signal);
  return {
    find,
    get: async (reference, attempted, options) => {
      const isTag = !isDigest(reference);
      const named = isTag ? await readEntry(objects, keys.tag(name, reference), options.signal) : undefined;
      const digest = isTag ? named?.digest : reference;
      const found = digest && (await find(digest, options));
      if (found) return found;
      throw cannot('NOT_FOUND', `${attempted} "${reference}"`, `not in ${name}`, { value: reference });
    },
    enter: async (target, known, options) => {
      const isManifest = kindOf(target.mediaType) === 'manifests';
      if (known && !(isManifest && kindOf(known.mediaType) !== 'manifests')) return;
      const { mediaType, digest, size } = target;
      if (isManifest) await addReferrer(place, { mediaType, digest, size }, options);
      await writeEntry(objects, keys.content(name, digest), { mediaType, digest, size }, options.signal);
    },
  };
}

function readsOf(place: BucketPlace, { get }: Entries): Pick<BucketStore, 'resolve' | 'fetch' | 'open'> {
  const { name, objects, keys } = place;
  const blobOf = async (descriptor: Descriptor, { range, ...options }: FetchOptions): Promise<Fetched> => {
    // There is no range of nothing.
    const isWhole = range === undefined || descriptor.size === 0;
    const opened = await objects.open(keys.blob(descriptor.digest), { ...options, range: isWhole ? undefined : range });
    if (opened) return { descriptor, body: opened.body, from: name };
    const details = { value: descriptor.digest };
    throw cannot('NOT_FOUND', `fetch "${descriptor.digest}"`, `its bytes are not in ${name}`, details);
  };
  return {
    resolve: async (reference, options = {}) => {
      const found = await get(reference, 'resolve', options);
      if (!options.verify || (await isIntact(place, found, options))) return found;
      const details = { value: reference };
      throw cannot('NOT_FOUND', `resolve "${reference}"`, `its bytes are not in ${name}`, details);
    },
    fetch: async (target, options = {}) => blobOf(await get(target.digest, 'fetch', options), options),
    open: async (digest, options = {}) => blobOf(await get(digest, 'fetch', options), options),
  };
}

function listsOf(place: BucketPlace): Lister & Referrers {
  const { name, objects, keys } = place;
  return {
    tags: async (options = {}) => {
      const names: string[] = [];
      for await (const { key } of objects.list(keys.tags(name), options)) names.push(keys.tagOf(name, key));
      if (names.length > 0 || (await hasContent(place, options))) return names.sort();
      const details = { value: name, reason: 'no-repository' } as const;
      throw cannot('NOT_FOUND', 'list tags', `"${name}" does not exist`, details);
    },
    referrers: async (digest, options = {}) => {
      const { artifactType } = options;
      const all: Descriptor[] = [];
      for await (const { value } of entriesAt(place, keys.referrers(name, digest), options)) all.push(value);
      return artifactType ? all.filter((one) => isOfType(one.artifactType, artifactType)) : all;
    },
  };
}

function removalsOf(place: BucketPlace, { get }: Entries): Deleter {
  const { name, objects, keys } = place;
  return {
    untag: async (tag, options = {}) => {
      await get(tag, 'untag', options);
      await objects.remove(keys.tag(name, tag), options);
    },
    remove: async (digest, options = {}) => {
      const found = await get(digest, 'remove', options);
      for await (const { key, value } of entriesAt(place, keys.tags(name), options)) {
        if (value.digest !== digest) continue;
        await objects.remove(key, options);
        options.onUntagged?.(keys.tagOf(name, key));
      }
      await objects.remove(keys.content(name, digest), options);
      if (kindOf(found.mediaType) === 'manifests') await removeReferrer(place, found, options);
    },
  };
}

async function addReferrer({ name, objects, keys }: BucketPlace, target: Descriptor, { signal }: CallOptions) {
  const referrer = await referrerIn({ objects, keys }, target, signal);
  if (!referrer) return;
  const key = keys.referrer(name, referrer.subject, target.digest);
  await writeEntry(objects, key, referrer.descriptor, signal);
}

async function removeReferrer({ name, objects, keys }: BucketPlace, target: Descriptor, { signal }: CallOptions) {
  const referrer = await referrerIn({ objects, keys }, target, signal);
  if (referrer) await objects.remove(keys.referrer(name, referrer.subject, target.digest), { signal });
}

async function referrerIn(
  { objects, keys }: Pick<BucketPlace, 'objects' | 'keys'>,
  target: Descriptor,
  signal: AbortSignal | undefined,
) {
  const found = await objects.open(keys.blob(target.digest), { signal });
  if (!found) return undefined;
  return referrerOf(await readAll(found.body, defaultManifestBytes, quote(target.digest)), target);
}

async function hasContent({ name, objects, keys }: BucketPlace, options: CallOptions): Promise<boolean> {
  for await (const _ of objects.list(keys.contents(name), options)) return true;
  return false;
}

/** The entries whose keys begin so, sorted by key. */
async function* entriesAt(
  { objects }: BucketPlace,
  prefix: string,
  { signal }: CallOptions,
): AsyncGenerator<{ readonly key: string; readonly value: Descriptor }, void, undefined> {
  let batch: string[] = [];
  const read = async () => {
    const keysOfBatch = batch;
    batch = [];
    const values = await Promise.all(keysOfBatch.map((key) => readEntry(objects, key, signal)));
    return keysOfBatch.flatMap((key, index) => {
      const value = values[index];
      return value ? [{ key, value }] : [];
    });
  };
  for await (const { key } of objects.list(prefix, { signal })) {
    batch.push(key);
    if (batch.length === readsAtOnce) yield* await read();
  }
  yield* await read();
}
