import { cannotRead, endedEarly } from '../connection-error.ts';
import { createHeadReader, createLineReader, headBytes, membersOf, type ResponseHead } from './head.ts';

/** Most bytes of the line before a chunk, with its extensions. */
const chunkLineBytes = 4_096;

type Give = (part: Uint8Array) => void;

/** Tells the bytes of a body from those around them, wherever they are cut. */
interface Framing {
  readonly isDone: boolean;
  readonly isRepaired: boolean;
  /** Whether the end of the connection is the end of the body. */
  readonly endsWithConnection: boolean;
  /** Takes bytes from `at` on, and gives those of the body, up to its end: where that is. */
  read(bytes: Uint8Array, at: number, give: Give): number;
}

/** A body of so many bytes. */
function lengthFraming(length: number): Framing {
  let left = length;
  return {
    get isDone() {
      return left === 0;
    },
    isRepaired: false,
    endsWithConnection: false,
    read: (bytes, at, give) => {
      const end = Math.min(bytes.length, at + left);
      left -= end - at;
      if (end > at) give(bytes.subarray(at, end));
      return end;
    },
  };
}

/** A body that ends with the connection. */
const closeFraming: Framing = {
  isDone: false,
  isRepaired: false,
  endsWithConnection: true,
  read: (bytes, at, give) => {
    if (at < bytes.length) give(bytes.subarray(at));
    return bytes.length;
  },
};

/** A body in chunks, each with its size before it, and a trailer, which is passed over. RFC 9112 section 7.1 */
function chunkedFraming(): Framing {
  let state: 'size' | 'data' | 'after' | 'trailer' | 'done' = 'size';
  let left = 0;
  let isRepaired = false;
  let lines = createLineReader(chunkLineBytes, 'the line before a chunk');
  const begin = (next: typeof state): void => {
    isRepaired ||= lines.isRepaired;
    if (next === 'size') lines = createLineReader(chunkLineBytes, 'the line before a chunk');
    if (next === 'trailer') lines = createLineReader(headBytes, 'the trailer');
    state = next;
  };
  const take = (line: string): void => {
    if (state === 'size') {
      const size = parseChunkSize(line);
      isRepaired ||= size.isRepaired;
      left = size.bytes;
      begin(left === 0 ? 'trailer' : 'data');
    } else if (state === 'after') {
      if (line !== '') throw cannotRead('a chunk is longer than its size');
      begin('size');
    } else if (line === '') begin('done');
  };
  return {
    get isDone() {
      return state === 'done';
    },
    get isRepaired() {
      return isRepaired;
    },
    endsWithConnection: false,
    read: (bytes, start, give) => {
      let at = start;
      while (at < bytes.length && state !== 'done') {
        if (state === 'data') {
          const end = Math.min(bytes.length, at + left);
          give(bytes.subarray(at, end));
          left -= end - at;
          at = end;
          if (left === 0) state = 'after';
        } else {
          const { line, next } = lines.read(bytes, at);
          at = next;
          if (line !== undefined) take(line);
        }
      }
      return at;
    },
  };
}

/** The size in the line before a chunk, after which there may be space and extensions. */
export function parseChunkSize(line: string): { readonly bytes: number; readonly isRepaired: boolean } {
  const [, digits = '', space = ''] = /^([0-9a-f]{1,16})([ \t]*)(?:;|$)/i.exec(line) ?? [];
  const bytes = Number.parseInt(digits, 16);
  if (!Number.isSafeInteger(bytes)) throw cannotRead('a chunk has no size that can be read');
  return { bytes, isRepaired: space !== '' };
}

/** What the fields of a head say of the body after it. */
interface Framed {
  readonly framing: Framing;
  readonly fields: ResponseHead['fields'];
  readonly isRepaired: boolean;
}

/** How the body of a response to `method` ends. RFC 9112 section 6.3 */
function framed(head: ResponseHead, method: string): Framed {
  const { status, minor, fields } = head;
  const codings = membersOf(head, 'transfer-encoding');
  const lengths = new Set(membersOf(head, 'content-length'));
  if (codings.some((coding) => coding !== 'chunked')) throw cannotRead('it has a transfer encoding other than chunked');
  if (lengths.size > 1) throw cannotRead(`its header content-length has the values ${[...lengths].join(' and ')}`);
  const [length] = lengths;
  const bytes = length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined;
  if (length !== undefined && !Number.isSafeInteger(bytes))
    throw cannotRead('its header content-length is not a number');
  const isChunked = codings.length > 0;
  const isDoubtful =
    codings.length > 1 || (isChunked && (length !== undefined || minor === 0)) || hasSeveral(head, 'content-length');
  const isRepaired = head.isRepaired || isDoubtful;
  if (method === 'HEAD' || status === 204 || status === 304) return { framing: lengthFraming(0), fields, isRepaired };
  if (!isChunked) return { framing: bytes === undefined ? closeFraming : lengthFraming(bytes), fields, isRepaired };
  // The length is wrong, or one that nothing must be decided by.
  const kept = new Map(fields);
  kept.delete('content-length');
  return { framing: chunkedFraming(), fields: kept, isRepaired };
}

const hasSeveral = (head: ResponseHead, name: string): boolean => membersOf(head, name).length > 1;

/** Reads one response, wherever its bytes are cut. */
export interface MessageReader {
  /** Once it is read. Its fields are those that hold for the body. */
  readonly head: ResponseHead | undefined;
  readonly isDone: boolean;
  /** Milliseconds that the connection may wait for another request when it is done; 0 if it must not have one. */
  readonly keeps: number;
  /** Takes bytes, and hands those of the body to `give`. An error that says what is wrong with them. */
  read(bytes: Uint8Array, give: Give): void;
  /** The connection has ended: the body with it, or an error. */
  end(): void;
}

export function createMessageReader(method: string): MessageReader {
  const heads = createHeadReader();
  let head: ResponseHead | undefined;
  let body: Framing | undefined;
  let isEnded = false;
  let isFollowed = false;
  const begin = (found: ResponseHead): void => {
    const { framing, fields, isRepaired } = framed(found, method);
    head = { ...found, fields, isRepaired };
    body = framing;
  };
  const isDone = (): boolean => isEnded || body?.isDone === true;
  return {
    get head() {
      return head;
    },
    get isDone() {
      return isDone();
    },
    get keeps() {
      const isSound = head && body && !head.isRepaired && !body.isRepaired && !isEnded && !isFollowed;
      return isSound ? keptFor(head as ResponseHead) : 0;
    },
    read: (bytes, give) => {
      let at = 0;
      if (!body) {
        const { head: found, next } = heads.read(bytes, at);
        at = next;
        if (found) begin(found);
      }
      if (body) at = body.read(bytes, at, give);
      isFollowed = at < bytes.length;
    },
    end: () => {
      if (isDone()) return;
      if (!body?.endsWithConnection)
        throw endedEarly(head ? 'before the end of the body' : 'before the end of the head');
      isEnded = true;
    },
  };
}

/** Milliseconds that an unused connection is kept: as long as the server says, less the time that a request takes to it. */
const keptByDefault = 4_000;
const keptAtMost = 600_000;
const margin = 2_000;

function keptFor(head: ResponseHead): number {
  const options = membersOf(head, 'connection');
  if (options.includes('close') || (head.minor === 0 && !options.includes('keep-alive'))) return 0;
  const [stated] = membersOf(head, 'keep-alive').flatMap((member) => /^timeout=(\d+)$/.exec(member)?.[1] ?? []);
  return stated === undefined ? keptByDefault : Math.max(0, Math.min(Number(stated) * 1_000 - margin, keptAtMost));
}
