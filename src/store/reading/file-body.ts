import { createBody, offerLending } from '../../body.ts';
import { cannot } from '../../errors.ts';
import type { ClosedRange } from '../../oci/range.ts';
import type { Body } from '../../source.ts';
import { quote } from '../../text/quote.ts';
import type { ReadMode } from '../file-io.ts';
import type { Files, OpenFile } from '../files.ts';

/** Bytes of one chunk of a body. */
const chunkBytes = 131_072;
/** Files that bodies keep open between two chunks; further bodies open their file anew for each chunk. */
const mostOpen = 32;
/** Memory of bodies whose chunks are lent, each of which has two buffers: large ones, unless many bodies are read. */
const lentMemory = 33_554_432;
const mostLent = 1_048_576;
const leastLent = 32_768;
/** Bodies that are read at the same time, and begin with large buffers. */
const fewLent = 4;

/** Files that bodies keep open now. */
let open = 0;
/** Bodies that lend chunks now. */
let lending = 0;

/** Opens the file of a body now, if that may keep it open; undefined also if it may not. */
export async function openToKeep(work: () => Promise<OpenFile | undefined>): Promise<OpenFile | undefined> {
  if (open >= mostOpen) return undefined;
  open += 1;
  let file: OpenFile | undefined;
  try {
    file = await work();
  } finally {
    if (!file) open -= 1;
  }
  return file && counted(file);
}

/** A file that counts as open until it is closed. */
const counted = (file: OpenFile): OpenFile => ({
  ...file,
  close: () => {
    open -= 1;
    return file.close();
  },
});

/** The file that a body keeps open. */
interface Kept {
  file: OpenFile | undefined;
}

/** Closes the files of bodies that were neither read nor cancelled: a file that is left to Node 26 ends the process. */
const forgotten = new FinalizationRegistry<Kept>(({ file }) => void file?.close().catch(() => {}));

/** How a body reads its file. */
export interface FileBodyOptions {
  readonly signal?: AbortSignal | undefined;
  readonly mode?: ReadMode | undefined;
  /** The file, if it is open already. The body closes it. */
  readonly opened?: OpenFile | undefined;
}

/** The bytes of a range of a file, which is opened when the first chunk is read, and closed after the last one. */
export function fileBody(files: Files, path: string, range: ClosedRange, how: FileBodyOptions): Body {
  const { signal, mode = 'read' } = how;
  let position = range.start;
  let isOver = false;
  let isReading = false;
  const kept: Kept = { file: how.opened };
  const closeKept = async (): Promise<void> => {
    const { file } = kept;
    kept.file = undefined;
    await file?.close();
  };
  const keepOrClose = async (file: OpenFile): Promise<void> => {
    const isNeeded = !isOver && position < range.end;
    if (file === kept.file) {
      if (!isNeeded) await closeKept();
    } else if (isNeeded && open < mostOpen) {
      open += 1;
      kept.file = counted(file);
    } else {
      await file.close();
    }
  };
  /** The next bytes, in at most `buffer`. */
  const readInto = async (buffer: Uint8Array): Promise<Uint8Array | undefined> => {
    isReading = true;
    try {
      const file = kept.file ?? (await files.open(path, mode));
      if (!file) throw cannot('NOT_FOUND', `read ${quote(path)}`, 'it no longer exists', { value: path });
      try {
        const count = await file.read(buffer.subarray(0, range.end - position), position);
        position = count === 0 ? range.end : position + count;
        return count === 0 ? undefined : buffer.subarray(0, count);
      } catch (error) {
        isOver = true;
        throw error;
      } finally {
        await keepOrClose(file);
      }
    } finally {
      isReading = false;
    }
  };
  const buffers = lentBuffers();
  // They live as long as whatever reads or cancels the body.
  forgotten.register(buffers, kept);
  const cancel = async (): Promise<void> => {
    isOver = true;
    buffers.drop();
    if (!isReading) await closeKept();
  };
  const next = (): Promise<Uint8Array | undefined> | undefined =>
    position < range.end ? readInto(new Uint8Array(Math.min(chunkBytes, range.end - position))) : undefined;
  const lend = async (): Promise<Uint8Array | undefined> => {
    if (!isOver && position < range.end) return readInto(buffers.take(range.end - position));
    buffers.drop();
    return undefined;
  };
  const { body } = createBody({ next, cancel }, { signal });
  if (kept.file && position >= range.end) void body.cancel();
  return offerLending(body, lend);
}

interface Buffers {
  /** One of two, in turn, for at most `left` bytes. */
  take(left: number): Uint8Array;
  /** They are not taken any more. */
  drop(): void;
}

function lentBuffers(): Buffers {
  let own: Uint8Array[] = [];
  let size = 0;
  let turn = 0;
  return {
    take: (left) => {
      const isFirst = size === 0;
      if (isFirst) lending += 1;
      // The first of many does not know yet how many they will be.
      const most = isFirst && lending > fewLent ? leastLent : mostLent;
      const share = Math.max(leastLent, Math.min(most, Math.floor(lentMemory / 2 / lending)));
      if (size > 2 * share || size < Math.min(left, share) / 2) {
        size = Math.max(1, Math.min(left, share));
        own = [];
      }
      turn = 1 - turn;
      const buffer = own[turn] ?? new Uint8Array(size);
      own[turn] = buffer;
      return buffer;
    },
    drop: () => {
      if (size > 0) lending -= 1;
      size = 0;
      own = [];
    },
  };
}
