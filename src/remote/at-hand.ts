import { abortError } from '../abort.ts';
import { bytesBody } from '../body.ts';
import { type Endpoint, printable } from '../endpoint.ts';
import { cannot, type ErrorReason, RegistryError } from '../errors.ts';
import { type Descriptor, decodeData } from '../oci/descriptor.ts';
import { algorithmOf, digestOf } from '../oci/digest.ts';
import { checkRange } from '../oci/range.ts';
import type { Repository } from '../oci/reference.ts';
import type { Source } from '../source.ts';

/** A document that was read, the endpoint it came from, and the URL that was requested. */
export interface DocumentAtHand {
  readonly bytes: Uint8Array;
  readonly endpoint: Endpoint;
  readonly request: string;
}

/** Documents that `resolve` read, for the `fetch` that follows. */
export interface DocumentsAtHand {
  /** Copies the bytes. */
  put(repository: Repository, digest: string, document: DocumentAtHand): void;
  get(repository: Repository, digest: string): DocumentAtHand | undefined;
}

const keyOf = ({ registry, name }: Repository, digest: string): string => `${registry}/${name}@${digest}`;

/** Holds up to `limit` bytes; the oldest documents are dropped first. */
export function createDocumentsAtHand(limit = 16_777_216): DocumentsAtHand {
  const documents = new Map<string, DocumentAtHand>();
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

/** Bytes at hand; `from` is reported as their source. */
interface BytesAtHand {
  readonly bytes: Uint8Array;
  readonly from: string;
  readonly endpoint?: Endpoint;
  readonly request?: string;
}

/** Content at hand, verified when it is fetched: if the bytes are wrong, the next source is tried. */
function atHandSource(
  what: string,
  find: (target: Descriptor) => BytesAtHand | undefined,
  reason?: ErrorReason,
): Source {
  return {
    resolve: (reference) =>
      Promise.reject(new RegistryError('NOT_FOUND', `No "${reference}" in ${what}`, { value: reference })),
    fetch: async (target, { range, signal } = {}) => {
      if (signal?.aborted) throw abortError(signal.reason);
      const found = find(target);
      if (!found) throw new RegistryError('NOT_FOUND', `No "${target.digest}" in ${what}`, { value: target.digest });
      const { bytes, ...origin } = found;
      const attempted = `use ${what} of "${target.digest}"`;
      const details = { value: target.digest, reason };
      const digest = digestOf(bytes, algorithmOf(target.digest));
      if (digest !== target.digest) {
        throw cannot('DIGEST_MISMATCH', attempted, `its digest is ${digest}`, details);
      }
      if (bytes.length !== target.size) {
        const code = bytes.length > target.size ? 'TOO_LARGE' : 'UNEXPECTED_END';
        throw cannot(code, attempted, `${bytes.length} bytes, but its size is ${target.size}`, details);
      }
      const { start, end } = checkRange(range ?? { start: 0 }, bytes.length);
      // The reader may change its copy. `slice` of a Buffer would not copy.
      const body = bytesBody(Uint8Array.prototype.slice.call(bytes, start, end));
      return { descriptor: target, body, ...origin };
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
 * A document that `resolve` read, `from` the host that sent it. The source has no name, so that no one leaves it out because
 * of that host's other errors: its bytes are known to be right.
 */
export const documentSource = (documents: DocumentsAtHand, repository: Repository): Source =>
  atHandSource('the document', ({ digest }) => {
    const document = documents.get(repository, digest);
    if (!document) return undefined;
    const { bytes, endpoint, request } = document;
    return { bytes, from: endpoint.url, endpoint: printable(endpoint), request };
  });
