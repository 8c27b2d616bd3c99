import { cannot } from '../errors.ts';
import { createBody } from '../feed.ts';
import type { ClosedRange } from '../oci/range.ts';
import type { Body } from '../source.ts';
import { quote } from '../text/quote.ts';
import type { Files, OpenFile } from './files.ts';

/** Bytes of one chunk that is handed out. */
const chunkBytes = 131_072;

/** Files that bodies keep open between two chunks; with more at a time, each chunk opens its file anew. */
const mostOpen = 32;
let open = 0;

/** The bytes of a range of a file. It is opened when the first chunk is asked for, and closed after the last one. */
export function fileBody(files: Files, path: string, range: ClosedRange, signal: AbortSignal | undefined): Body {
  let position = range.start;
  let kept: OpenFile | undefined;
  let isOver = false;
  let isReading = false;
  const letGo = async (): Promise<void> => {
    const file = kept;
    kept = undefined;
    if (!file) return;
    open -= 1;
    await file.close();
  };
  const release = async (file: OpenFile): Promise<void> => {
    const isWanted = !isOver && position < range.end;
    if (file === kept) {
      if (!isWanted) await letGo();
    } else if (isWanted && open < mostOpen) {
      kept = file;
      open += 1;
    } else {
      await file.close();
    }
  };
  const read = async (): Promise<Uint8Array | undefined> => {
    isReading = true;
    try {
      const file = kept ?? (await files.open(path, 'read'));
      if (!file) throw cannot('NOT_FOUND', `read ${quote(path)}`, 'it is not there any more', { value: path });
      try {
        const buffer = new Uint8Array(Math.min(chunkBytes, range.end - position));
        const count = await file.read(buffer, position);
        position = count === 0 ? range.end : position + count;
        return count === 0 ? undefined : buffer.subarray(0, count);
      } catch (error) {
        isOver = true;
        throw error;
      } finally {
        await release(file);
      }
    } finally {
      isReading = false;
    }
  };
  const cancel = async (): Promise<void> => {
    isOver = true;
    if (!isReading) await letGo();
  };
  return createBody({ next: () => (position < range.end ? read() : undefined), cancel }, { signal }).body;
}
