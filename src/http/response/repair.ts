import type { Socket } from 'node:net';
import { headBytes } from '../socket/head.ts';

/**
 * Repairs what a connection brings, before undici reads it. For a connection with one response, which is closed after it: what
 * follows a response that is framed in two ways would be somebody else's otherwise.
 */
export function repairReads(socket: Socket): void {
  const repair = createRepair();
  const { read, unshift } = socket;
  /** Bytes that a paused reader has put back: they are repaired already. */
  let back = 0;
  socket.read = (size) => {
    for (;;) {
      const chunk: Buffer | null = read.call(socket, size);
      if (chunk === null || size !== undefined) return chunk;
      const repaired = repair(chunk.subarray(back));
      const bytes = back === 0 ? repaired : Buffer.concat([chunk.subarray(0, back), repaired]);
      back = 0;
      if (bytes.length > 0) return bytes;
    }
  };
  socket.unshift = (chunk: Uint8Array) => {
    back += chunk.length;
    unshift.call(socket, chunk);
  };
}

/**
 * Repairs the bytes of one response as RFC 9112 has it: a Content-Length beside `Transfer-Encoding: chunked` is dropped and
 * equal ones are one (section 6.3), a 100 that nobody waits for is skipped, folded lines are joined (5.2), space before a colon
 * (5.1) and after the size of a chunk (7.1.1) is removed, and lines may end without a carriage return (2.2). What is not
 * understood is given as it is, as is all after it. Takes memory for one head, and time in proportion to the bytes.
 */
export function createRepair(): (chunk: Buffer) => Buffer {
  let state: 'head' | 'size' | 'data' | 'rest' = 'head';
  /** Bytes of a chunk, and the end of its line, that are still to come. */
  let left = 0;
  let lines: string[] = [];
  let line = '';
  let seen = 0;
  /** What stands in the place of a line that is complete. */
  const take = (): string => {
    if (state === 'size') {
      const size = sizeOf(line);
      state = size === undefined || size === 0 ? 'rest' : 'data';
      left = (size ?? 0) + 2;
      return size === undefined ? `${line}\n` : `${size.toString(16)}\r\n`;
    }
    lines.push(line);
    if (line !== '' && line !== '\r') return '';
    const { text, next } = repairHead(lines.slice(0, -1).map((each) => each.replace(/\r$/, '')));
    state = next;
    lines = [];
    return text;
  };
  return (chunk) => {
    const parts: Buffer[] = [];
    let at = 0;
    while (at < chunk.length && state !== 'rest') {
      if (state === 'data') {
        const part = chunk.subarray(at, at + left);
        parts.push(part);
        at += part.length;
        left -= part.length;
        if (left === 0) state = 'size';
        continue;
      }
      const end = chunk.indexOf(0x0a, at);
      const upTo = end === -1 ? chunk.length : end;
      // A host that speaks something else may wait for its turn: what it sent must fail at once.
      const isOther =
        state === 'head' && seen < version.length && !isVersion(line + chunk.toString('latin1', at, upTo));
      line += chunk.toString('latin1', at, upTo);
      seen += upTo - at + 1;
      at = upTo + 1;
      if (isOther || seen > headBytes + 4) {
        const rest = [...lines, line].join('\n') + (end === -1 ? '' : '\n');
        parts.push(Buffer.from(rest, 'latin1'));
        state = 'rest';
      } else if (end !== -1) {
        parts.push(Buffer.from(take(), 'latin1'));
        line = '';
        if (lines.length === 0) seen = 0;
      }
    }
    if (at < chunk.length) parts.push(chunk.subarray(at));
    const [only] = parts;
    return parts.length === 1 && only ? only : Buffer.concat(parts);
  };
}

const version = 'HTTP/1.';

/** Whether a first line may begin a response, or is an empty one before it. */
const isVersion = (line: string): boolean => line === '\r' || version.startsWith(line.slice(0, version.length));

/** The size in the line before a chunk, which may have an extension; undefined if there is none. */
function sizeOf(line: string): number | undefined {
  const [, digits] = /^([0-9a-f]{1,13})[ \t]*(?:;.*)?\r?$/is.exec(line) ?? [];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}

/** A head as undici reads it, empty if it is to be skipped, and what comes next. */
function repairHead(lines: readonly string[]): { text: string; next: 'head' | 'size' | 'rest' } {
  const [start = '', ...rest] = lines;
  // Line ends before a response are skipped, too.
  if (start === '' || /^HTTP\/1\.1 100(?: |$)/.test(start)) return { text: '', next: 'head' };
  const fields = unfolded(rest).map((line) => line.replace(/^([^:\s]+)[ \t]+:/, '$1:'));
  const isInterim = /^HTTP\/1\.1 1\d\d(?: |$)/.test(start) && !start.startsWith('HTTP/1.1 101');
  const coding = valuesOf(fields, 'transfer-encoding').at(-1)?.toLowerCase();
  const isChunked = coding === 'chunked' && start.startsWith('HTTP/1.1 ');
  const lengths = valuesOf(fields, 'content-length');
  const isSame = lengths.length > 1 && new Set(lengths).size === 1 && /^\d+$/.test(lengths[0] ?? '');
  const kept = isChunked || isSame ? fields.filter((field) => nameOf(field) !== 'content-length') : fields;
  const length = isSame && !isChunked ? [`Content-Length: ${lengths[0]}`] : [];
  const text = [start, ...kept, ...length, '', ''].join('\r\n');
  return { text, next: isInterim ? 'head' : isChunked ? 'size' : 'rest' };
}

/** Lines that begin with white space continue the one before. */
function unfolded(lines: readonly string[]): string[] {
  const fields: string[] = [];
  for (const line of lines) {
    const last = fields.length - 1;
    if (/^[ \t]/.test(line) && last >= 0) fields[last] += ` ${line.trim()}`;
    else fields.push(line);
  }
  return fields;
}

const nameOf = (field: string): string => field.slice(0, Math.max(0, field.indexOf(':'))).toLowerCase();

/** All members of the lists in the fields of a name. */
const valuesOf = (fields: readonly string[], name: string): string[] =>
  fields
    .filter((field) => nameOf(field) === name)
    .flatMap((field) => field.slice(name.length + 1).split(','))
    .map((value) => value.trim());
