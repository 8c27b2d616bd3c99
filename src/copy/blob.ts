import { abortError, type Deadline, deadline } from '../abort.ts';
import { bytesBody, offerRecycling, recyclerOf } from '../body.ts';
import { observed } from '../combine.ts';
import {
  collectWarnings,
  createHosts,
  type ReadingHosts,
  type SentRequest,
  sentRequestOf,
  withAttempt,
} from '../content/attempts.ts';
import { readContent } from '../content/split-reading.ts';
import { type ReadOutcome, untilRight } from '../content/wrong-bytes.ts';
import { asRegistryError, type RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type Chunks, isResumable } from '../source.ts';
import { type CopyState, findStored, ownData, reportState } from './copy-state.ts';
import { requestsAtATime } from './flow.ts';

/** Copies one content, unless the store has it. Bytes that the store finds wrong are read again from another host. */
export async function copyBlob(descriptor: Descriptor, state: CopyState, manifest?: Digest): Promise<void> {
  if (await findStored(state, descriptor)) {
    state.tally.present += descriptor.size;
    reportState(state, descriptor, 'present', descriptor.size);
    return;
  }
  const bytes = ownData(descriptor) ?? state.held.get(descriptor.digest);
  if (bytes) await pushBytes(descriptor, bytes, state);
  else await untilRight(descriptor, (except) => pushBlob(descriptor, state, { except, manifest }));
}

/** Stores bytes that are known to be right. */
export async function pushBytes(descriptor: Descriptor, bytes: Uint8Array, state: CopyState): Promise<void> {
  try {
    await state.to.push(descriptor, bytesBody(bytes), { signal: state.signal });
  } catch (thrown) {
    throw storeError(descriptor, thrown);
  }
  reportState(state, descriptor, 'stored', descriptor.size);
}

interface BlobOrigin {
  /** Hosts not to contact. */
  readonly except: readonly string[];
  /** The manifest that lists it. */
  readonly manifest: Digest | undefined;
}

/** Reads the content into the store. Throws what ends the copy, whatever hosts are left: the store's own failure. */
async function pushBlob(descriptor: Descriptor, state: CopyState, from: BlobOrigin): Promise<ReadOutcome<undefined>> {
  const { to, signal, tally, emit, liars } = state;
  const { digest, size } = descriptor;
  const limit = deadline(signal);
  const { open, stop, reading } = createBlobReading(descriptor, state, { ...from, limit });
  try {
    if (isResumable(to)) {
      const onWait = (): void => reportState(state, descriptor, 'waiting');
      await to.pushFrom(descriptor, open, { signal, onWait });
    } else await to.push(descriptor, open(0), { signal });
  } catch (thrown) {
    stop();
    const { failed, sent, hosts } = reading;
    if (failed) return { error: failed.error, hosts };
    if (signal.aborted) return { error: abortError(signal.reason), hosts };
    const error = storeError(descriptor, thrown);
    if (error.code !== 'DIGEST_MISMATCH' || !sent || hosts.end !== size) throw error;
    liars.remember(digest, hosts.served);
    return { error: withAttempt(error, sent, size), hosts };
  } finally {
    limit.end();
  }
  const { begunAt, hosts } = reading;
  tally.present += begunAt ?? size;
  if (begunAt !== undefined) emit({ type: 'verified', digest, size, from: [...hosts.served].at(-1) ?? '' });
  reportState(state, descriptor, begunAt === undefined ? 'present' : 'stored', size);
  return { value: undefined };
}

/** A reading for a store that verifies the bytes itself, so that they are hashed once. */
interface BlobReading {
  /** Offset of the last opening; undefined: the store requested no byte. */
  begunAt?: number;
  /** The hosts of the last opening. */
  hosts: ReadingHosts;
  /** The request that was sent last. */
  sent?: SentRequest;
  /** Why the bytes ended early: the store may report that in its own words. */
  failed?: { readonly error: unknown };
}

function createBlobReading(
  descriptor: Descriptor,
  state: CopyState,
  { except, manifest, limit }: BlobOrigin & { readonly limit: Deadline },
) {
  const { emit, liars, operation, backoff, tally } = state;
  const { digest, size } = descriptor;
  const reading: BlobReading = { hosts: createHosts({ except }) };
  const source = observed(state.from, (fetched, started) => {
    reading.sent = sentRequestOf(fetched, started);
  });
  const onWarning = collectWarnings(emit).add;
  const onChunk = ({ length }: Uint8Array): void => {
    tally.copied += length;
  };
  let chunks: AsyncGenerator<Uint8Array, void, undefined> | undefined;
  let inOrder: Chunks | undefined;
  async function* read(start: number, hosts: ReadingHosts): AsyncGenerator<Uint8Array, void, undefined> {
    if (operation !== undefined) limit.limit(operation, `read "${digest}"`);
    const how = {
      range: { start, end: size },
      signal: limit.signal,
      hosts,
      manifest,
      oneOfMany: requestsAtATime(size),
      backoff,
      emit,
      onChunk,
      onWarning,
    };
    try {
      // A host without ranges sends the whole again, whose beginning is dropped: that costs no more than to begin anew.
      inOrder = readContent(source, descriptor, { ...how, discard: Infinity, isVerified: true });
      yield* inOrder;
    } catch (error) {
      reading.failed ??= { error };
      throw error;
    } finally {
      limit.unlimit();
    }
  }
  const open = (offset: number): Chunks => {
    reading.begunAt = offset;
    const hosts = createHosts({ last: liars.of(digest), except });
    reading.hosts = hosts;
    reportState(state, descriptor, 'begun', offset);
    chunks = read(offset, hosts);
    // Nothing of them is kept here, so the store may give them back.
    return offerRecycling(chunks, (chunk) => recyclerOf(inOrder)?.(chunk));
  };
  /** Frees the connection, whatever the store left undone. */
  const stop = (): void => {
    limit.cancel(abortError('the store is done with it'));
    chunks?.return().catch(() => {});
  };
  return { open, stop, reading };
}

const storeError = ({ digest }: Descriptor, thrown: unknown): RegistryError =>
  asRegistryError(thrown, 'STORE_ERROR', `store "${digest}"`);
