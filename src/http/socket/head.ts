import { cannotRead } from '../connection-error.ts';

/** Most bytes of the heads of a response, or of the trailer after its chunks: signed Locations are long. */
export const headBytes = 65_536;

/** Reads lines of bytes, wherever the bytes are cut. */
export interface LineReader {
  /** Whether a line ended without a carriage return. RFC 9112 section 2.2 */
  readonly isRepaired: boolean;
  /** Bytes of the line that has begun. */
  readonly begun: string;
  /** Takes bytes from `at` to the end of a line: the line, if it is there, and where the next begins. */
  read(bytes: Uint8Array, at: number): { readonly line: string | undefined; readonly next: number };
}

/**
 * Lines of characters up to 255, without their ends. More than `most` bytes from the first line on, and a carriage return
 * or NUL inside a line, are errors.
 */
export function createLineReader(most: number, what: string): LineReader {
  let begun = '';
  let seen = 0;
  let isRepaired = false;
  return {
    get isRepaired() {
      return isRepaired;
    },
    get begun() {
      return begun;
    },
    read: (bytes, at) => {
      const end = bytes.indexOf(0x0a, at);
      const upTo = end === -1 ? bytes.length : end;
      seen += upTo - at + (end === -1 ? 0 : 1);
      if (seen > most) throw cannotRead(`${what} is longer than ${most} bytes`);
      begun += latin1(bytes, at, upTo);
      if (end === -1) return { line: undefined, next: upTo };
      const isWhole = begun.endsWith('\r');
      const line = isWhole ? begun.slice(0, -1) : begun;
      if (/[\r\0]/.test(line)) throw cannotRead(`${what} has a carriage return or NUL inside a line`);
      isRepaired ||= !isWhole;
      begun = '';
      return { line, next: upTo + 1 };
    },
  };
}

const latin1 = ({ buffer, byteOffset }: Uint8Array, start: number, end: number): string =>
  Buffer.from(buffer, byteOffset + start, end - start).toString('latin1');

/** The first line of a response, and its header lines. */
export interface ResponseHead {
  readonly status: number;
  /** The minor version: HTTP/1.0 keeps no connection by itself. */
  readonly minor: number;
  /** Lines by their names in lower case. */
  readonly fields: ReadonlyMap<string, readonly string[]>;
  /** Whether it was not written as RFC 9112 has it, or came after others: what follows the response is not read. */
  readonly isRepaired: boolean;
}

/** The lines of a field, each a list: its members in lower case. */
export const membersOf = ({ fields }: ResponseHead, name: string): string[] =>
  (fields.get(name) ?? []).flatMap((line) => line.split(',')).map((member) => trimmed(member).toLowerCase());

const version = 'HTTP/1.';

/**
 * Reads the head of a response, wherever its bytes are cut; heads that are not final (1xx) and empty lines before it are
 * passed over. It takes what RFC 9112 has a recipient repair: folded lines (section 5.2), space before a colon (5.1), lines
 * without a carriage return (2.2). Anything else is an error, at once if the bytes cannot be HTTP. Takes time in proportion
 * to the bytes.
 */
export function createHeadReader(): {
  /** Takes bytes up to the end of the head: the head, once it is whole, and where the body begins. */
  read(bytes: Uint8Array, at: number): { readonly head: ResponseHead | undefined; readonly next: number };
} {
  const reader = createLineReader(headBytes, 'the head');
  let lines: string[] = [];
  let isLate = false;
  /** Whether the first line begins as one must. */
  let isKnown = false;
  /** Takes a line: the head that it ends, if that is the final one. */
  const take = (line: string): ResponseHead | undefined => {
    if (line !== '') {
      lines.push(line);
      return undefined;
    }
    // What a head is not the first of: empty lines, or another head.
    if (lines.length > 0) {
      const head = parseHead(lines);
      if (head.status >= 200) return { ...head, isRepaired: head.isRepaired || isLate || reader.isRepaired };
      if (head.status === 101) throw cannotRead('it changes to another protocol, which was not requested');
    }
    isLate = true;
    isKnown = false;
    lines = [];
    return undefined;
  };
  return {
    read: (bytes, begin) => {
      let at = begin;
      while (at < bytes.length) {
        const { line, next } = reader.read(bytes, at);
        at = next;
        // A host that speaks something else may wait for its turn: what it sent must fail at once.
        if (lines.length === 0 && !isKnown) {
          const text = line ?? reader.begun;
          if (!isBeginning(text)) throw cannotRead('it is not HTTP');
          isKnown = text.length >= version.length;
        }
        const head = line === undefined ? undefined : take(line);
        if (head) return { head, next: at };
      }
      return { head: undefined, next: at };
    },
  };
}

/** Whether a first line may begin a response, or is an empty one before it. */
const isBeginning = (text: string): boolean =>
  text === '' || text === '\r' || version.startsWith(text.slice(0, version.length));

/** A head of its lines, without the empty one. */
function parseHead(lines: readonly string[]): ResponseHead {
  const [start = '', ...rest] = lines;
  const [, minor, status] = /^HTTP\/1\.(\d) ([1-9]\d\d)(?: |$)/.exec(start) ?? [];
  if (minor === undefined || status === undefined) throw cannotRead('its first line is not that of a response');
  const fields = new Map<string, string[]>();
  let isRepaired = false;
  let last: string[] | undefined;
  for (const line of rest) {
    if (line.startsWith(' ') || line.startsWith('\t')) {
      if (!last) throw cannotRead('its first header line is folded');
      last.push(`${last.pop() ?? ''} ${trimmed(line)}`);
      isRepaired = true;
      continue;
    }
    const colon = line.indexOf(':');
    const name = trimmed(line.slice(0, Math.max(colon, 0)));
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw cannotRead('one of its header lines has no name');
    isRepaired ||= name.length < colon;
    const key = name.toLowerCase();
    last = fields.get(key) ?? [];
    last.push(trimmed(line.slice(colon + 1)));
    fields.set(key, last);
  }
  return { status: Number(status), minor: Number(minor), fields, isRepaired };
}

/** Without spaces and tabs around it: other space is part of a value. */
function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;
