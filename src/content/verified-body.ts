import { createBody } from '../body.ts';
import { cannot } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { createHasher } from '../oci/digest.ts';
import type { Body } from '../source.ts';

/** Chunks of a whole content on their way to somebody who must not get the end of wrong bytes. */
export interface HoldBack {
  /** Takes a chunk, and gives the one before. */
  pass(chunk: Uint8Array): Uint8Array | undefined;
  /** The last chunk; `DIGEST_MISMATCH` if the bytes do not have the digest. */
  end(): Uint8Array | undefined;
}

export function createHoldBack({ digest, size }: Descriptor): HoldBack {
  const hasher = createHasher(digest);
  let held: Uint8Array | undefined;
  let count = 0;
  return {
    pass: (chunk) => {
      const ready = held;
      held = chunk;
      count += chunk.length;
      hasher.update(chunk);
      return ready;
    },
    end: () => {
      const found = hasher.digest();
      // What is too short or too long is the error of whoever counts.
      if (found === digest || count !== size) return held;
      throw cannot('DIGEST_MISMATCH', `read "${digest}"`, `its bytes are "${found}"`, { value: digest });
    },
  };
}

/**
 * A body of a whole content, one chunk behind: its last one is given only if the bytes have the digest of the descriptor.
 * Otherwise `DIGEST_MISMATCH`, so that whoever passes it on never sends wrong bytes to their end.
 */
export function verifiedBody(body: Body, descriptor: Descriptor): Body {
  const chunks = body[Symbol.asyncIterator]();
  const back = createHoldBack(descriptor);
  let isOver = false;
  const next = async (): Promise<Uint8Array | undefined> => {
    while (!isOver) {
      const { done, value } = await chunks.next();
      if (done) isOver = true;
      const ready = done ? back.end() : back.pass(value);
      if (ready) return ready;
    }
    return undefined;
  };
  return createBody({ next, cancel: (reason) => body.cancel(reason) }).body;
}
