import type { Extract, ExtractEvents, Header } from 'tar-stream';
import { createByteReader, joined } from '../codec/byte-reader.ts';
import { quote } from '../text/quote.ts';
import { type BareEntry, cleanPath, dateOf, type FileType } from './entry.ts';

/** An entry of an archive with its content, which can be read until the next entry is asked for. */
export interface TarFile {
  readonly entry: BareEntry;
  readonly data: AsyncIterable<Uint8Array>;
}

/**
 * The entries of a tar archive in its order, or an error of `refuse`. Content that is not read is passed over; that of
 * sparse files is refused. The archive ends where two blocks of zeros mark it, or with `bytes`; what follows the mark is
 * no part of it, and read to its end for the faults and the digest alone. Leaving early leaves `bytes`.
 */
export async function* readTar(bytes: AsyncIterable<Uint8Array>, refuse: Refuse): AsyncGenerator<TarFile, void> {
  const { extract } = await import('tar-stream');
  const archive = new TarParser(extract, bytes, refuse);
  try {
    for (;;) {
      const header = await archive.next();
      if (!header) return;
      const entry = entryOf(header, refuse);
      const found = `${quote(entry.path)} is a sparse file, which cannot be read`;
      yield { entry, data: archive.content(isSparse(header) ? refuse(found, 'UNSUPPORTED') : undefined) };
      for await (const _ of archive.content());
    }
  } finally {
    await archive.leave();
  }
}

/** Makes the error for an archive that is not what it should be, out of what was found. */
export type Refuse = (found: string, code?: 'UNSUPPORTED') => Error;

const types: ReadonlyMap<string | null, FileType> = new Map([
  ['file', 'file'],
  ['contiguous-file', 'file'],
  ['link', 'hardlink'],
  ['symlink', 'symlink'],
  ['directory', 'directory'],
  ['character-device', 'character-device'],
  ['block-device', 'block-device'],
  ['fifo', 'fifo'],
]);

const sparsePrefix = 'GNU.sparse.';
const xattrPrefix = 'SCHILY.xattr.';

/** Whether what is stored are parts of a file, and a list of them. */
const isSparse = ({ pax }: Header): boolean => Object.keys(pax ?? {}).some((key) => key.startsWith(sparsePrefix));

/**
 * The entry of a header. What its extended header says of owners and times is not yet in it. Refused is what
 * tar-stream cannot read on from: sizes of what has no content, and types that it does not know.
 */
function entryOf(header: Header, refuse: Refuse): BareEntry {
  const pax = (header.pax ?? {}) as Readonly<Record<string, string | undefined>>;
  const name = pax[`${sparsePrefix}name`] || header.name;
  if (name.includes('\0')) throw refuse(`the name ${quote(name)}, with a NUL in it`);
  const type = typeOf(header, refuse);
  const number = (key: string, value: number): number => {
    if (Number.isSafeInteger(value)) return value;
    throw refuse(`${quote(name)} with the ${key} ${value}, not a number to count with`);
  };
  // tar-stream takes the digits that a text begins with.
  const stored = number('size', pax.size && Number(pax.size) !== header.size ? Number.NaN : header.size);
  if (type !== 'file' && stored !== 0) throw refuse(`${quote(name)}, a ${type}, with a size of ${stored} bytes`);
  const size = pax[`${sparsePrefix}realsize`] || pax[`${sparsePrefix}size`];
  const seconds = pax.mtime?.replace(/(\.\d{3})\d*$/, '$1');
  const modified = number('time', seconds ? Math.round(Number(seconds) * 1000) : header.mtime.getTime());
  const userName = pax.uname || header.uname;
  const groupName = pax.gname || header.gname;
  const linkName = header.linkname ?? '';
  const xattrs = xattrsOf(pax);
  const isDevice = type === 'character-device' || type === 'block-device';
  return {
    path: cleanPath(name),
    type,
    size: size ? number('size', Number(size)) : stored,
    mode: number('mode', header.mode),
    uid: number('uid', pax.uid ? Number(pax.uid) : header.uid),
    gid: number('gid', pax.gid ? Number(pax.gid) : header.gid),
    ...(userName !== '' && { userName }),
    ...(groupName !== '' && { groupName }),
    modified: dateOf(modified),
    ...(type === 'symlink' && { linkPath: linkName }),
    ...(type === 'hardlink' && { linkPath: cleanPath(linkName) }),
    ...(isDevice && { deviceMajor: header.devmajor, deviceMinor: header.devminor }),
    ...(xattrs && { xattrs }),
  };
}

/** Old archives write a directory as a file with a `/` at its end. */
function typeOf({ type, name, size }: Header, refuse: Refuse): FileType {
  if (type === 'file' && size === 0 && name.endsWith('/')) return 'directory';
  const found = types.get(type);
  if (found) return found;
  throw refuse(`${quote(name)}, a sparse file of the old GNU format, or of a type that no layer has`, 'UNSUPPORTED');
}

/** Extended attributes; undefined where there are none. tar-stream has them as text only: what was none is left out. */
function xattrsOf(pax: Readonly<Record<string, string | undefined>>): Readonly<Record<string, Uint8Array>> | undefined {
  const found = Object.entries(pax).flatMap(([key, value = '']) =>
    key.startsWith(xattrPrefix) && !/\uFFFD/.test(key + value)
      ? [[key.slice(xattrPrefix.length), new TextEncoder().encode(value)] as const]
      : [],
  );
  return found.length > 0 ? Object.fromEntries(found) : undefined;
}

/** Bytes of a block; headers are one, contents are filled up to whole ones. */
const blockBytes = 512;
/** Most bytes handed to the parser at once. */
const mostPiece = 65_536;
/** Most bytes, but for zeros, that are neither of a header nor of a content: of extended headers and long names. */
const mostMetadata = 1_048_576;

/** The bytes of an archive on their way to the parser. */
export interface TarFeed {
  /** Bytes that were handed on. */
  readonly fed: number;
  /** The next bytes; undefined at the end. */
  piece(): Promise<Uint8Array | undefined>;
  /** The parser got on, and not only over extended headers. */
  gotOn(): void;
  /** Whether there are two blocks of zeros at `offset`, which is not before what was handed on last. */
  isEndAt(offset: number): Promise<boolean>;
  /** Reads what is left, for its faults. */
  passRest(): Promise<void>;
  leave(): Promise<void>;
}

function createTarFeed(bytes: AsyncIterable<Uint8Array>, refuse: Refuse): TarFeed {
  const reader = createByteReader(bytes);
  const none: Uint8Array = new Uint8Array(0);
  let fed = 0;
  let idle = 0;
  let last = none;
  /** Was looked at, and is handed on next. */
  let held = none;

  const take = (count: number): Uint8Array => {
    reader.read(count);
    return reader.cut();
  };
  const next = async (): Promise<Uint8Array | undefined> => {
    const piece = held;
    held = none;
    if (piece.length > 0) return piece;
    return (await reader.fill(1)) ? take(Math.min(mostPiece, reader.available)) : undefined;
  };
  const areZeros = async (offset: number, count: number): Promise<boolean> => {
    const behind = fed - offset;
    const known = behind > 0 ? last.subarray(-behind).subarray(0, count) : none;
    const before = Math.max(0, -behind);
    const missing = before + count - known.length - held.length;
    if (missing > 0) {
      if (!(await reader.fill(missing))) return false;
      held = joined(held, take(missing));
    }
    return isZero(known) && isZero(held.subarray(before, before + count - known.length));
  };
  return {
    get fed() {
      return fed;
    },
    async piece() {
      const piece = await next();
      if (!piece) return undefined;
      last = piece;
      fed += piece.length;
      idle += piece.length;
      if (idle <= mostMetadata + mostPiece || isZero(piece)) return piece;
      throw refuse(`more than ${mostMetadata} bytes of extended headers before an entry`);
    },
    gotOn() {
      idle = 0;
    },
    // One after the other: where the first is a header, the second may be long in coming.
    isEndAt: async (offset) => (await areZeros(offset, blockBytes)) && areZeros(offset, 2 * blockBytes),
    async passRest() {
      while (await reader.fill(1)) take(reader.available);
    },
    leave: () => reader.close(),
  };
}

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

type Entry = { readonly header: Header; readonly stream: ExtractEvents['entry'][1]; readonly next: () => void };

/**
 * Drives the parser by what is asked for: nothing is read of the bytes but while a caller waits, and only once the
 * parser has nothing left to do with those it has. So leaving never waits for bytes.
 */
class TarParser {
  readonly #parser: Extract;
  readonly #feed: TarFeed;
  readonly #refuse: Refuse;
  #entry: Entry | undefined;
  #isNew = false;
  #left = 0;
  /** Where the header after the entry begins, or the end of the archive is marked. */
  #after = 0;
  #isHungry = true;
  #isClosed = false;
  #failure: Error | undefined;
  #wake = (): void => {};

  constructor(extract: typeof import('tar-stream').extract, bytes: AsyncIterable<Uint8Array>, refuse: Refuse) {
    // Of the formats that it does not know is V7. With the lowest mark it tells of each piece that it has taken it.
    const options = { allowUnknownFormat: true, highWaterMark: 1 };
    const parser = extract(options);
    this.#parser = parser;
    this.#feed = createTarFeed(bytes, refuse);
    this.#refuse = refuse;
    parser.on('entry', (header, stream, next) => {
      this.#entry = { header, stream, next };
      this.#isNew = true;
      stream.on('error', () => {});
      stream.on('readable', () => this.#wake());
      this.#wake();
    });
    parser.on('drain', () => {
      this.#isHungry = true;
      this.#wake();
    });
    parser.on('error', (error) => {
      this.#failure = error;
    });
    parser.on('close', () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  /** The next entry, when the content of the one before was read; undefined at the end. */
  async next(): Promise<Header | undefined> {
    if (await this.#feed.isEndAt(this.#after)) {
      // Whatever follows is no part of the archive.
      await this.#feed.passRest();
      return undefined;
    }
    this.#entry?.next();
    while (!this.#isNew) {
      if (this.#isClosed) return this.#end();
      await this.#step();
    }
    this.#isNew = false;
    this.#feed.gotOn();
    const { header, stream } = this.#entry ?? {};
    // An extended header of no bytes makes the parser pass over some.
    if ((stream?.offset ?? 0) % blockBytes !== 0) throw this.#refuse('a header that is not where a block begins');
    this.#left = header?.size ?? 0;
    this.#after = (stream?.offset ?? 0) + blockBytes * (1 + Math.ceil(this.#left / blockBytes));
    return header;
  }

  /** What was not yet read of the content, or why it is not to be read. */
  async *content(refused?: Error): AsyncGenerator<Uint8Array, void> {
    if (refused) throw refused;
    while (this.#left > 0) {
      const chunk = this.#entry?.stream.read();
      if (chunk instanceof Uint8Array) {
        this.#left -= chunk.length;
        this.#feed.gotOn();
        yield chunk;
      } else if (this.#isClosed) this.#end();
      else await this.#step();
    }
  }

  async leave(): Promise<void> {
    this.#parser.destroy();
    await this.#feed.leave();
  }

  #end(): undefined {
    const isCut = this.#left > 0 || this.#feed.fed % blockBytes !== 0;
    if (this.#failure || isCut) throw this.#refuse(`no whole tar archive: ${this.#failure?.message ?? 'cut off'}`);
  }

  /** Waits until the parser has something new, after giving it more where it needs that. */
  async #step(): Promise<void> {
    const isHungry = this.#isHungry;
    const piece = isHungry ? await this.#feed.piece() : undefined;
    if (this.#isClosed) return;
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (isHungry) this.#isHungry = false;
    if (piece) this.#parser.write(piece);
    else if (isHungry) this.#parser.end(null);
    await woken;
  }
}
