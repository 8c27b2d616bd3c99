import { abortError, type Deadline } from '../abort.ts';
import { offerRecycling, recyclerOf } from '../body.ts';
import type { Try } from '../content/again.ts';
import { type Asked, askedOf } from '../content/attempt.ts';
import { noting } from '../content/noting.ts';
import { resume } from '../content/resume.ts';
import { collectWarnings } from '../content/warnings.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Body, Chunks } from '../source.ts';
import { tell, type Work } from './work.ts';

/** What is known of a reading by whoever is given its bytes. */
interface State {
  /** Why the bytes ended before their time. */
  failed?: { readonly error: unknown };
  /** What was asked last, and what came. */
  asked?: Asked;
  body?: Body;
  /** Offset of the last opening; none: nobody asked for a byte. */
  begunAt?: number;
}

/** Bytes for a store that verifies them itself, so that they are hashed once. */
export interface StoreReading {
  open(offset: number): Chunks;
  /** Frees the connection, whatever the store left undone. */
  stop(): void;
  readonly state: Readonly<State>;
}

export function openReading(
  descriptor: Descriptor,
  work: Work,
  { one, limit }: { readonly one: Try; readonly limit: Deadline },
): StoreReading {
  const { emit, liars, operation, tally } = work;
  const { digest, size } = descriptor;
  const warned = collectWarnings(emit);
  const state: State = {};
  const source = noting(work.from, (fetched, started) => {
    state.asked = askedOf(fetched, started);
    state.body = fetched.body;
  });
  let chunks: AsyncGenerator<Uint8Array, void, undefined> | undefined;
  const begin = (): void => {
    if (operation !== undefined) limit.limit(operation, `read "${digest}"`);
  };
  const open = (offset: number): Chunks => {
    const served = new Set<string>();
    const take = ({ length }: Uint8Array, from: string): void => {
      served.delete(from);
      served.add(from);
      one.end += length;
      tally.copied += length;
    };
    state.begunAt = offset;
    one.served = served;
    one.end = offset;
    tell(work, descriptor, 'begun', offset);
    const range = { start: offset, end: size };
    // A registry without ranges: the whole again, of which the beginning is dropped, is what a new beginning would cost.
    const hosts = { last: liars.of(digest), except: one.except, warned, discard: Infinity };
    const told = { begin, take, complete: () => undefined, over: limit.unlimit };
    chunks = resume({ source, descriptor, range, signal: limit.signal, emit, isHashed: true, ...hosts, ...told });
    return noted(chunks, state);
  };
  const stop = (): void => {
    limit.cancel(abortError('the store is done with it'));
    chunks?.return().catch(() => {});
  };
  return { open, stop, state };
}

/**
 * The chunks, with the failure noted that they end in: a store may tell it in its own words. Nothing of them is kept here,
 * so a store may give them back.
 */
function noted(chunks: AsyncGenerator<Uint8Array, void, undefined>, state: State): Chunks {
  const note = (error: unknown): void => {
    state.failed ??= { error };
  };
  const next = (): Promise<IteratorResult<Uint8Array, void>> => {
    const coming = chunks.next();
    coming.catch(note);
    return coming;
  };
  return offerRecycling({ [Symbol.asyncIterator]: () => ({ next, return: () => chunks.return() }) }, (chunk) =>
    recyclerOf(state.body)?.(chunk),
  );
}
