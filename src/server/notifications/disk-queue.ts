import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { TextQueue } from './queue.ts';

/** Bytes from which on a new file is begun. */
const segmentBytes = 4_194_304;
const newLine = 10;

/** Where a text begins. */
interface Place {
  readonly segment: number;
  readonly offset: number;
}

/**
 * A queue in a folder that one process at a time uses. Texts are lines of files with a number each; `position` says which text is
 * the first, and a file that is done is removed. A text is in a file when `add` returns, and stays there until `remove`: what was
 * taken by a process that was killed comes once more.
 */
export function diskQueue(folder: string, most: number): TextQueue {
  mkdirSync(folder, { recursive: true });
  const segments = readdirSync(folder)
    .flatMap((name) => (/^\d{9}$/.test(name) ? [Number(name)] : []))
    .sort((a, b) => a - b);
  let place = placeIn(folder, segments[0] ?? 1);
  for (const segment of segments) if (segment < place.segment) rmSync(fileOf(folder, segment), { force: true });
  const left = segments.filter((segment) => segment >= place.segment);
  let length = left.reduce((sum, segment) => sum + linesIn(folder, segment, place), 0);
  let last = openSegment(folder, left.at(-1) ?? place.segment);
  let reading = openReader(folder, place);

  const begin = (segment: number): void => {
    closeSync(last.file);
    last = openSegment(folder, segment);
  };
  return {
    get length() {
      return length;
    },
    add: (text) => {
      if (length >= most) return false;
      if (last.size >= segmentBytes) begin(last.segment + 1);
      const line = Buffer.from(`${text}\n`);
      writeSync(last.file, line);
      last.size += line.length;
      length += 1;
      return true;
    },
    first: () => (length === 0 ? undefined : reading.first()),
    remove: () => {
      if (length === 0) return;
      length -= 1;
      const offset = place.offset + Buffer.byteLength(reading.first()) + 1;
      const isDone = place.segment < last.segment && offset >= fstatSync(reading.file).size;
      const done = place.segment;
      place = isDone ? { segment: done + 1, offset: 0 } : { segment: done, offset };
      keepPlace(folder, place);
      if (!isDone) return reading.skip();
      reading.close();
      reading = openReader(folder, place);
      rmSync(fileOf(folder, done), { force: true });
    },
    close: () => {
      reading.close();
      closeSync(last.file);
    },
  };
}

const fileOf = (folder: string, segment: number): string => join(folder, String(segment).padStart(9, '0'));
const positionFile = (folder: string): string => join(folder, 'position');

/** Where the first text is; the beginning of the first file if that is not known. */
function placeIn(folder: string, first: number): Place {
  const path = positionFile(folder);
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const [, segment, offset] = /^(\d{1,9}) (\d{1,15})\n$/.exec(text) ?? [];
  const place = { segment: Number(segment), offset: Number(offset) };
  return segment === undefined || place.segment < first ? { segment: first, offset: 0 } : place;
}

function keepPlace(folder: string, { segment, offset }: Place): void {
  const path = positionFile(folder);
  writeFileSync(`${path}.new`, `${segment} ${offset}\n`);
  renameSync(`${path}.new`, path);
}

/** Texts of a file from the first one on. */
function linesIn(folder: string, segment: number, place: Place): number {
  const bytes = readFileSync(fileOf(folder, segment));
  let count = 0;
  for (let at = segment === place.segment ? place.offset : 0; at >= 0; count += at >= 0 ? 1 : 0) {
    const end = bytes.indexOf(newLine, at);
    at = end < 0 ? -1 : end + 1;
  }
  return count;
}

/** Opens a file to add to it. The beginning of a text that a killed process left is removed. */
function openSegment(
  folder: string,
  segment: number,
): { readonly segment: number; readonly file: number; size: number } {
  const path = fileOf(folder, segment);
  const file = openSync(path, 'a');
  const bytes = readFileSync(path);
  const size = bytes.lastIndexOf(newLine) + 1;
  if (size < bytes.length) ftruncateSync(file, size);
  return { segment, file, size };
}

/** Reads the texts of a file one by one. */
function openReader(folder: string, { segment, offset }: Place) {
  const file = openSync(fileOf(folder, segment), 'a+');
  let at = offset;
  let known: string | undefined;
  const read = (): string => {
    for (let size = 65_536; ; size *= 4) {
      const buffer = Buffer.alloc(size);
      const bytes = readSync(file, buffer, 0, size, at);
      const end = buffer.subarray(0, bytes).indexOf(newLine);
      if (end >= 0) return buffer.toString('utf8', 0, end);
      if (bytes < size) return '';
    }
  };
  return {
    file,
    first: (): string => {
      known ??= read();
      return known;
    },
    skip: (): void => {
      at += Buffer.byteLength(known ?? read()) + 1;
      known = undefined;
    },
    close: () => closeSync(file),
  };
}
