import { remember } from '../../bounded-map.ts';
import { algorithmOf, createHasher, type Digest, type Hasher } from '../../oci/digest.ts';
import type { ObjectStorage } from './objects.ts';

/** The bytes of one request, as they are hashed. */
export interface UploadHash {
  update(chunk: Uint8Array): void;
  /** They belong to an upload that now has so many bytes. Otherwise nothing is remembered. */
  keep(size: number): void;
}

/** The digest of the first `size` bytes of an upload, until it is read. */
interface HashedUpload {
  readonly size: number;
  readonly hasher: Hasher;
}

/** What almost every client names content by; another algorithm means that the bytes are read again. */
const usual = 'sha256';
const mostUploads = 1_000;

/** What this process hashed of uploads, by bucket and id, so that their bytes need not be read again. */
const hashed = new WeakMap<ObjectStorage, Map<string, HashedUpload>>();

/** Hashes what is added to an upload that has `before` bytes, if this process has hashed those. */
export function uploadHash(objects: ObjectStorage, id: string, before: number): UploadHash {
  const known = takeKnown(objects, id);
  const hasher = before === 0 ? createHasher(usual) : known?.size === before ? known.hasher : undefined;
  let size = before;
  return {
    update: (chunk) => {
      hasher?.update(chunk);
      size += chunk.length;
    },
    keep: (kept) => {
      const all = hashed.get(objects) ?? new Map<string, HashedUpload>();
      hashed.set(objects, all);
      if (hasher && kept === size) remember(all, id, { size, hasher }, mostUploads);
    },
  };
}

/** The digest of an upload, if this process has hashed all its bytes, by that algorithm. */
export function takeHash(
  objects: ObjectStorage,
  id: string,
  { size, digest }: { readonly size: number; readonly digest: Digest },
): Digest | undefined {
  const known = takeKnown(objects, id);
  return known?.size === size && algorithmOf(digest) === usual ? known.hasher.digest() : undefined;
}

/** As nobody else may continue it meanwhile, it is known no longer. */
function takeKnown(objects: ObjectStorage, id: string): HashedUpload | undefined {
  const known = hashed.get(objects)?.get(id);
  hashed.get(objects)?.delete(id);
  return known;
}
