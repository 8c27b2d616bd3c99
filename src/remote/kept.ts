import { bytesBody } from '../body.ts';
import { RegistryError } from '../errors.ts';
import { abortError } from '../http/deadline.ts';
import { type Descriptor, decodeData } from '../oci/descriptor.ts';
import { algorithmOf, digestOf } from '../oci/digest.ts';
import { checkRange } from '../oci/range.ts';
import type { Repository } from '../oci/reference.ts';
import type { Source } from '../source.ts';

/** Documents that were read to learn what they are, for the `fetch` that follows. */
export interface Kept {
  put(repository: Repository, digest: string, bytes: Uint8Array): void;
  get(repository: Repository, digest: string): Uint8Array | undefined;
}

const keyOf = ({ registry, name }: Repository, digest: string): string => `${registry}/${name}@${digest}`;

/** Keeps up to `limit` bytes; the oldest go first. */
export function createKept(limit = 16_777_216): Kept {
  const documents = new Map<string, Uint8Array>();
  let size = 0;
  const drop = (key: string): void => {
    size -= documents.get(key)?.length ?? 0;
    documents.delete(key);
  };
  return {
    put: (repository, digest, bytes) => {
      const key = keyOf(repository, digest);
      drop(key);
      documents.set(key, bytes);
      size += bytes.length;
      for (const oldest of documents.keys()) {
        if (size <= limit) return;
        drop(oldest);
      }
    },
    get: (repository, digest) => documents.get(keyOf(repository, digest)),
  };
}

/** Content that is at hand: verified when it is asked for, so that wrong bytes leave the word to the next source. */
export function bytesSource(name: string, find: (target: Descriptor) => Uint8Array | undefined): Source {
  return {
    name,
    resolve: (reference) => Promise.reject(new RegistryError('NOT_FOUND', `No "${reference}" in ${name}`)),
    fetch: async (target, { range, signal } = {}) => {
      if (signal?.aborted) throw abortError(signal.reason);
      const bytes = find(target);
      if (!bytes) throw new RegistryError('NOT_FOUND', `No "${target.digest}" in ${name}`);
      const digest = digestOf(bytes, algorithmOf(target.digest));
      if (digest !== target.digest) {
        throw new RegistryError('DIGEST_MISMATCH', `Cannot use ${name} of "${target.digest}": its digest is ${digest}`);
      }
      if (bytes.length !== target.size) {
        const code = bytes.length > target.size ? 'TOO_LARGE' : 'UNEXPECTED_END';
        const found = `${bytes.length} bytes where its size is ${target.size}`;
        throw new RegistryError(code, `Cannot use ${name} of "${target.digest}": ${found}`);
      }
      const { start, end } = checkRange(range ?? { start: 0 }, bytes.length);
      return { descriptor: target, body: bytesBody(bytes.slice(start, end)), from: name };
    },
  };
}

/** The content that a descriptor carries itself. */
export const dataSource = (): Source => bytesSource('data', decodeData);
