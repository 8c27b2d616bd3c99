import type { RegistryError } from '../../errors.ts';
import type { AppendOptions, Chunks, UploadLimits } from '../../source.ts';
import { missingUpload, tooLong, tooShort, uploadInUse } from '../../store/store-error.ts';
import type { ObjectStorage } from './objects.ts';
import { mostPieces, pieceBytes, sendPieces } from './pieces.ts';
import { type UploadHash, uploadHash } from './upload-hash.ts';
import { bytesOf, type KnownState, type Piece, sizeOf, type UploadPlace, type UploadState } from './upload-state.ts';

/** Bytes that an upload can have. */
const mostBytes = pieceBytes * mostPieces;
/** Milliseconds after which the state of a long request is written, so that nobody takes it for abandoned. */
const touchAfter = 10_000;

/** What one request adds to which upload. */
interface Addition {
  readonly id: string;
  readonly known: KnownState;
  readonly limits: UploadLimits;
  readonly options: AppendOptions;
}

/** What an upload has then, and why it does not have more. */
interface Added {
  readonly state: UploadState;
  readonly failure: { readonly error: unknown } | undefined;
}

/** Adds the bytes of a body. What arrived before it broke stays; of more or fewer bytes than there should be nothing stays. */
export async function append(place: UploadPlace, addition: Addition, body: Chunks): Promise<Added> {
  const { objects, keys } = place;
  const { id, known } = addition;
  const { start = sizeOf(known.state) } = addition.options;
  if (start !== sizeOf(known.state)) throw uploadInUse(id);
  const { kept, begin } = await startOf(place, addition);
  const written = stateWriter(place, id, known);
  const sent: NumberedPiece[] = [];
  // Without the signal of the request: what has arrived is kept also if its client is gone.
  const send = async (number: number, bytes: Uint8Array): Promise<void> => {
    const key = `${keys.pieces(id)}${number}-${crypto.randomUUID()}`;
    await objects.write(key, bytes);
    sent.push({ key, size: bytes.length, number });
    await written.touch();
  };
  const hash = uploadHash(objects, id, sizeOf(known.state));
  const counted = countedChunks(addition, body, hash);
  let failure: Added['failure'];
  try {
    await sendPieces(counted.chunks, send, { size: pieceBytes, first: kept.length + 1, begin });
  } catch (error) {
    failure = { error };
  }
  const added = withoutGap(sent, kept.length);
  try {
    if (failure && counted.isWrong()) throw failure.error;
    if (added.length === 0) return { state: known.state, failure };
    const state = await written.write([...kept, ...added]);
    hash.keep(sizeOf(state));
    await removeAll(objects, known.state.pieces.slice(kept.length));
    return { state, failure };
  } catch (error) {
    // Only what is its own: another process may be adding, too.
    await removeAll(objects, sent);
    throw error;
  }
}

/** Never fails: nobody sees these pieces any more, and `purgeUploads` removes what stays. */
async function removeAll(objects: ObjectStorage, pieces: readonly Piece[]): Promise<void> {
  await Promise.all(pieces.map(({ key }) => objects.remove(key).catch(() => {})));
}

/** Writes the state of an upload; fails if another process has written it meanwhile. */
function stateWriter({ name, objects, keys }: UploadPlace, id: string, known: KnownState) {
  let current = known;
  let touching: Promise<unknown> | undefined;
  const write = async (pieces: readonly Piece[]): Promise<UploadState> => {
    const state = { repository: name, pieces, touched: Date.now() };
    const version = await objects.write(keys.upload(id), bytesOf(state), { only: { version: current.version } });
    if (version === undefined) throw uploadInUse(id);
    current = { state, version };
    return state;
  };
  return {
    write,
    /** Says from time to time that somebody is adding to it. */
    touch: async (): Promise<void> => {
      if (Date.now() - current.state.touched < touchAfter) return;
      touching ??= write(known.state.pieces).finally(() => {
        touching = undefined;
      });
      await touching;
    },
  };
}

interface NumberedPiece extends Piece {
  readonly number: number;
}

/** The pieces that follow each other from `first` on: one that could not be sent leaves a gap. */
function withoutGap(sent: readonly NumberedPiece[], before: number): readonly Piece[] {
  const sorted = [...sent].sort((a, b) => a.number - b.number);
  const whole = sorted.filter(({ number }, index) => number === before + index + 1);
  return whole.map(({ key, size }) => ({ key, size }));
}

/** The pieces that stay as they are, and the bytes of a last one that is shorter, with which the next one begins. */
async function startOf(
  { objects }: UploadPlace,
  { id, known, options }: Addition,
): Promise<{ readonly kept: readonly Piece[]; readonly begin?: Uint8Array }> {
  const { pieces } = known.state;
  const last = pieces.at(-1);
  if (!last || last.size === pieceBytes) return { kept: pieces };
  const found = await objects.read(last.key, pieceBytes, { signal: options.signal });
  if (found?.bytes.length !== last.size) throw missingUpload(id);
  return { kept: pieces.slice(0, -1), begin: found.bytes };
}

/** The chunks of a body, counted: `isWrong` once they were more or fewer than there should be. */
function countedChunks(
  { id, known, limits, options: { size } }: Addition,
  body: Chunks,
  hash: UploadHash,
): { readonly chunks: Chunks; isWrong(): boolean } {
  const before = sizeOf(known.state);
  const uploadBytes = Math.min(limits.uploadBytes ?? mostBytes, mostBytes);
  let isWrong = false;
  const check = (problem: RegistryError | undefined): void => {
    if (!problem) return;
    isWrong = true;
    throw problem;
  };
  async function* count(): AsyncGenerator<Uint8Array, void, undefined> {
    let added = 0;
    for await (const chunk of body) {
      added += chunk.length;
      check(tooLong(id, { before, added, uploadBytes, size }));
      hash.update(chunk);
      yield chunk;
    }
    check(tooShort(id, { before, added, size }));
  }
  return { chunks: count(), isWrong: () => isWrong };
}
