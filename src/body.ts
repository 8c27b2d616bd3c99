import { cannot } from './errors.ts';
import { createBody } from './feed.ts';
import type { Body } from './source.ts';

/** A body of bytes at hand. */
export function bytesBody(bytes: Uint8Array): Body {
  let rest: Uint8Array | undefined = bytes.length > 0 ? bytes : undefined;
  return createBody({
    next: () => {
      const chunk = rest;
      rest = undefined;
      return chunk;
    },
    cancel: () => {
      rest = undefined;
    },
  }).body;
}

/** A body whose chunks are made from those of `body`; cancelling it cancels `body`. */
export function derivedBody(body: Body, derive: (body: Body) => AsyncIterable<Uint8Array>): Body {
  let iterator: AsyncIterator<Uint8Array> | undefined;
  return {
    cancel: async (reason) => {
      await body.cancel(reason);
      // Lets the derivation free what it holds, when it stands between two chunks; nobody waits for it.
      iterator?.return?.().catch(() => {});
    },
    [Symbol.asyncIterator]: () => {
      iterator ??= derive(body)[Symbol.asyncIterator]();
      return iterator;
    },
  };
}

/**
 * All bytes of a body. One byte over `limit` is `TOO_LARGE`, and the rest is not read. A body that goes on for longer than
 * `within` milliseconds is `TIMEOUT`: one that drips is never idle.
 */
export async function readAll(
  body: AsyncIterable<Uint8Array>,
  limit: number,
  what: string,
  within = 60_000,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const started = performance.now();
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limit) throw cannot('TOO_LARGE', `read ${what}`, `more than ${limit} bytes`, { reason: 'limit' });
    if (performance.now() - started > within) {
      throw cannot('TIMEOUT', `read ${what}`, `not done in ${within} ms`);
    }
    chunks.push(chunk);
  }
  return join(chunks, size);
}

/** One array of all chunks; the chunk itself where there is one. */
export function join(chunks: readonly Uint8Array[], size: number): Uint8Array {
  if (chunks.length === 1 && chunks[0]) return chunks[0];
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/**
 * Reads what nobody wants, up to `limit` bytes and for `milliseconds`, so that the connection can be used again; cancels
 * what is longer. Never fails.
 */
export async function discard(body: Body, limit = 65_536, milliseconds = 1_000): Promise<void> {
  const stop = (): void => {
    body.cancel().catch(() => {});
  };
  const timer = setTimeout(stop, milliseconds);
  let left = limit;
  try {
    for await (const chunk of body) {
      left -= chunk.length;
      if (left < 0) break;
    }
  } catch {
    // The answer's head said all that mattered.
  } finally {
    clearTimeout(timer);
  }
}
