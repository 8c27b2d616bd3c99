import { createLiars } from '../content/attempts.ts';
import { Content, manifestBytesOf } from '../content/content.ts';
import { cannot, RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type Index, kindOf, type Manifest, parseDocument } from '../oci/manifest.ts';

import type { Source } from '../source.ts';
import { pushBytes } from './blob.ts';
import { type CopyState, findStored, ownData, reportState } from './copy-state.ts';

/** A small content that was read and is right. */
interface Small {
  readonly bytes: Uint8Array;
  /** Where the bytes were; `wrong`: the store has some, but they are not these. */
  readonly stored: 'yes' | 'no' | 'wrong';
  /** Bytes that were requested from the source. */
  readonly requested: number;
}

/** A manifest or index. */
export interface ReadDocument extends Small {
  readonly descriptor: Descriptor;
  readonly document: Manifest | Index;
}

/** The manifests and indexes of a copy, each read once. */
export interface Documents {
  read(descriptor: Descriptor): Promise<ReadDocument>;
  /** Stores what was read, unless the store has it, and forgets it. */
  push(descriptor: Descriptor): Promise<void>;
}

/** Most manifests of a copy, and most bytes of all of them. */
const most = { manifests: 10_000, bytes: 268_435_456 };

export function createDocuments(state: CopyState): Documents {
  const reading = new Map<string, Promise<ReadDocument>>();
  const seen = { manifests: 0, bytes: 0 };
  const start = async (descriptor: Descriptor): Promise<ReadDocument> => {
    seen.manifests += 1;
    seen.bytes += descriptor.size;
    if (seen.manifests > most.manifests || seen.bytes > most.bytes) {
      const found = `more than ${most.manifests}, or than ${most.bytes} bytes of them`;
      throw cannot('TOO_LARGE', 'copy so many manifests', found);
    }
    const found = await readSmall(descriptor, state);
    return { descriptor, ...found, document: parseDocument(found.bytes, descriptor.mediaType) };
  };
  const read = (descriptor: Descriptor): Promise<ReadDocument> => {
    const known = reading.get(descriptor.digest) ?? start(descriptor);
    reading.set(descriptor.digest, known);
    return known;
  };
  return {
    read,
    push: async (descriptor) => {
      const { bytes, stored, requested } = await read(descriptor);
      reading.delete(descriptor.digest);
      if (stored === 'yes') {
        state.tally.present += descriptor.size;
        reportState(state, descriptor, 'present', descriptor.size);
        return;
      }
      state.tally.copied += requested;
      await pushBytes(descriptor, bytes, state);
      if (stored === 'wrong') await mustBeRight(descriptor, state);
    },
  };
}

/** The bytes of a small content, verified: its own data, what the store has, or what the source gives. */
export async function readSmall(descriptor: Descriptor, state: CopyState, manifest?: Digest): Promise<Small> {
  const found = await findStored(state, descriptor);
  const own = ownData(descriptor);
  // If the store knows it as a blob, it is pushed again with its media type.
  const isKnown = found !== undefined && kindOf(found.mediaType) === kindOf(descriptor.mediaType);
  if (own) return { bytes: own, stored: isKnown ? 'yes' : 'no', requested: 0 };
  const kept = found && (await readStored(descriptor, state));
  if (kept) return { bytes: kept, stored: isKnown ? 'yes' : 'no', requested: 0 };
  // A store that knows them to be right would keep them.
  if (found) await findStored({ ...state, verify: true }, descriptor);
  const bytes = await bytesOf(state.from, descriptor, { ...state, manifest });
  return { bytes, stored: found ? 'wrong' : 'no', requested: bytes.length };
}

async function bytesOf(
  source: Source,
  descriptor: Descriptor,
  state: CopyState & { readonly manifest?: Digest | undefined },
): Promise<Uint8Array> {
  const { emit, liars, signal, operation, backoff, manifest, manifestBytes } = state;
  const content = new Content({ source, descriptor, manifest, emit, liars, operation, backoff, signals: [signal] });
  try {
    return await manifestBytesOf(content, manifestBytes);
  } finally {
    await content.close();
  }
}

/** Codes for wrong bytes in a store, as opposed to a store that cannot be read. */
const wrong: ReadonlySet<string> = new Set(['DIGEST_MISMATCH', 'TOO_LARGE', 'UNEXPECTED_END', 'NOT_FOUND']);

async function readStored(descriptor: Descriptor, state: CopyState): Promise<Uint8Array | undefined> {
  try {
    return await bytesOf(state.to, descriptor, { ...state, emit: () => {}, liars: createLiars() });
  } catch (error) {
    if (error instanceof RegistryError && wrong.has(error.code) && !state.signal.aborted) return undefined;
    throw error;
  }
}

/** A store may keep the wrong bytes that it has; then its user must know. */
async function mustBeRight(descriptor: Descriptor, state: CopyState): Promise<void> {
  if (await readStored(descriptor, state)) return;
  const found = 'the store has other bytes under its digest, and keeps them: remove it there, and copy again';
  throw cannot('STORE_ERROR', `store "${descriptor.digest}"`, found, { value: descriptor.digest });
}
