import { abortError } from '../abort.ts';
import { bytesBody } from '../body.ts';
import { type Endpoint, printable } from '../endpoint.ts';
import { cannot, type ErrorReason, RegistryError } from '../errors.ts';
import { type Descriptor, decodeData } from '../oci/descriptor.ts';
import { algorithmOf, digestOf } from '../oci/digest.ts';
import { checkRange } from '../oci/range.ts';
import type { Repository } from '../oci/reference.ts';
import type { Source } from '../source.ts';

/** A document that was read, and where: the endpoint, and the URL that was asked. */
export interface KeptDocument {
  readonly bytes: Uint8Array;
  readonly endpoint: Endpoint;
  readonly request: string;
}

/** Documents that were read to learn what they are, for the `fetch` that follows. */
export interface Kept {
  /** Keeps a copy of the bytes. */
  put(repository: Repository, digest: string, document: KeptDocument): void;
  get(repository: Repository, digest: string): KeptDocument | undefined;
}

const keyOf = ({ registry, name }: Repository, digest: string): string => `${registry}/${name}@${digest}`;

/** Keeps up to `limit` bytes; the oldest go first. */
export function createKept(limit = 16_777_216): Kept {
  const documents = new Map<string, KeptDocument>();
  let size = 0;
  const drop = (key: string): void => {
    size -= documents.get(key)?.bytes.length ?? 0;
    documents.delete(key);
  };
  return {
    put: (repository, digest, document) => {
      const key = keyOf(repository, digest);
      drop(key);
      documents.set(key, { ...document, bytes: new Uint8Array(document.bytes) });
      size += document.bytes.length;
      for (const oldest of documents.keys()) {
        if (size <= limit) return;
        drop(oldest);
      }
    },
    get: (repository, digest) => documents.get(keyOf(repository, digest)),
  };
}

/** Bytes at hand; `from` is told as their source. */
interface AtHand {
  readonly bytes: Uint8Array;
  readonly from: string;
  readonly endpoint?: Endpoint;
  readonly request?: string;
}

/** Content that is at hand: verified when it is asked for, so that wrong bytes leave the word to the next source. */
function atHandSource(what: string, find: (target: Descriptor) => AtHand | undefined, reason?: ErrorReason): Source {
  return {
    resolve: (reference) => Promise.reject(new RegistryError('NOT_FOUND', `No "${reference}" in ${what}`)),
    fetch: async (target, { range, signal } = {}) => {
      if (signal?.aborted) throw abortError(signal.reason);
      const found = find(target);
      if (!found) throw new RegistryError('NOT_FOUND', `No "${target.digest}" in ${what}`);
      const { bytes, ...told } = found;
      const digest = digestOf(bytes, algorithmOf(target.digest));
      const details = { value: target.digest, reason };
      if (digest !== target.digest) {
        throw cannot('DIGEST_MISMATCH', `use ${what} of "${target.digest}"`, `its digest is ${digest}`, details);
      }
      if (bytes.length !== target.size) {
        const code = bytes.length > target.size ? 'TOO_LARGE' : 'UNEXPECTED_END';
        const message = `${bytes.length} bytes where its size is ${target.size}`;
        throw cannot(code, `use ${what} of "${target.digest}"`, message, details);
      }
      const { start, end } = checkRange(range ?? { start: 0 }, bytes.length);
      // A copy, which the reader may change; the slice of a Buffer would be none.
      const body = bytesBody(Uint8Array.prototype.slice.call(bytes, start, end));
      return { descriptor: target, body, ...told };
    },
  };
}

/** The content that a descriptor carries itself. */
export const dataSource = (): Source => ({
  name: 'data',
  ...atHandSource(
    'the data',
    (target) => {
      const bytes = decodeData(target);
      return bytes && { bytes, from: 'data' };
    },
    'inconsistent-image',
  ),
});

/**
 * What was read of a repository and kept, under the name of the host that gave it. The source has none itself: its bytes
 * are known to be right, whatever else that host has done.
 */
export const keptSource = (kept: Kept, repository: Repository): Source =>
  atHandSource('what was kept', ({ digest }) => {
    const document = kept.get(repository, digest);
    if (!document) return undefined;
    const { bytes, endpoint, request } = document;
    return { bytes, from: endpoint.url, endpoint: printable(endpoint), request };
  });
