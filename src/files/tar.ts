import type { Extract, ExtractEvents, Header } from 'tar-stream';
import { createByteReader, joined } from '../codec/byte-reader.ts';
import { messageOf } from '../errors.ts';
import { quote } from '../text/quote.ts';
import { type BareEntry, cleanPath, dateOf, type FileType } from './entry.ts';

/** An entry of an archive with its content, which can be read until the next entry is requested. */
export interface TarFile {
  readonly entry: BareEntry;
  readonly data: AsyncIterable<Uint8Array>;
}

/**
 * The entries of a tar archive in its order, or an error of `refuse`. Content that is not read is skipped; that of sparse
 * files is refused. The archive ends with two blocks of zeros, or with `bytes`. What follows the zeros is not part of it,
 * but is read to its end for errors of `bytes` and for the digest. Leaving early closes `bytes`.
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
    await archive.close();
  }
}

/** Makes the error for an archive that cannot be read, from what was found. */
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

/** Whether only parts of a file are stored, with a list of them. */
const isSparse = ({ pax }: Header): boolean => Object.keys(pax ?? {}).some((key) => key.startsWith(sparsePrefix));

/**
 * The entry of a header. tar-stream does not apply owners and times of extended headers, so that is done here. What
 * tar-stream cannot continue after is refused: sizes of entries without content, and unknown types.
 */
function entryOf(header: Header, refuse: Refuse): BareEntry {
  const pax = (header.pax ?? {}) as Readonly<Record<string, string | undefined>>;
  const name = pax[`${sparsePrefix}name`] || header.name;
  if (name.includes('\0')) throw refuse(`the name ${quote(name)}, with a NUL in it`);
  const type = typeOf(header, refuse);
  const number = (key: string, value: number): number => {
    if (Number.isSafeInteger(value) && (key !== 'size' || value >= 0)) return value;
    throw refuse(`${quote(name)} with the ${key} ${value}, not a usable number`);
  };
  // tar-stream only reads the digits that a text begins with.
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

/** Extended attributes; undefined if there are none. tar-stream decodes them as text: values that are not text are left out. */
function xattrsOf(pax: Readonly<Record<string, string | undefined>>): Readonly<Record<string, Uint8Array>> | undefined {
  const found = Object.entries(pax).flatMap(([key, value = '']) =>
    key.startsWith(xattrPrefix) && !/\uFFFD/.test(key + value)
      ? [[key.slice(xattrPrefix.length), new TextEncoder().encode(value)] as const]
      : [],
  );
  return found.length > 0 ? Object.fromEntries(found) : undefined;
}

/** Bytes of a block. A header is one block; contents are padded to whole blocks. */
const blockBytes = 512;
/** Most bytes given to the parser at once. */
const mostPiece = 65_536;
/** Most bytes of extended headers and long names before an entry. */
const mostMetadata = 1_048_576;

/** The bytes of an archive, in pieces for the parser. */
interface TarFeed {
  /** Bytes of all pieces so far. */
  readonly fed: number;
  /** The next piece; undefined at the end. */
  piece(): Promise<Uint8Array | undefined>;
  /** To be called when the parser has reached an entry or its content: more extended headers may follow. */
  resetMetadata(): void;
  /** Whether two blocks of zeros begin at `offset`, which is not before the last piece. Reads on if necessary. */
  reachesEndAt(offset: number): Promise<boolean>;
  /** Reads the rest, which fails if `bytes` does. */
  readRest(): Promise<void>;
  close(): Promise<void>;
}

function createTarFeed(bytes: AsyncIterable<Uint8Array>, refuse: Refuse): TarFeed {
  const reader = createByteReader(bytes);
  const empty: Uint8Array = new Uint8Array(0);
  let fed = 0;
  let metadata = 0;
  let last = empty;
  /** Already read to look for zeros; part of the next piece. */
  let lookahead = empty;

  const take = (count: number): Uint8Array => {
    reader.read(count);
    return reader.cut();
  };
  const next = async (): Promise<Uint8Array | undefined> => {
    const piece = lookahead;
    lookahead = empty;
    if (piece.length > 0) return piece;
    return (await reader.fill(1)) ? take(Math.min(mostPiece, reader.available)) : undefined;
  };
  const areZeros = async (offset: number, count: number): Promise<boolean> => {
    const inLast = fed - offset;
    const known = inLast > 0 ? last.subarray(-inLast).subarray(0, count) : empty;
    const before = Math.max(0, -inLast);
    const missing = before + count - known.length - lookahead.length;
    if (missing > 0) {
      if (!(await reader.fill(missing))) return false;
      lookahead = joined(lookahead, take(missing));
    }
    return isZero(known) && isZero(lookahead.subarray(before, before + count - known.length));
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
      metadata += piece.length;
      // tar-stream keeps an extended header in memory until it is whole.
      if (metadata <= mostMetadata + mostPiece) return piece;
      throw refuse(`more than ${mostMetadata} bytes of extended headers before an entry`);
    },
    resetMetadata() {
      metadata = 0;
    },
    // One after the other: if the first is a header, the second may be slow to arrive.
    reachesEndAt: async (offset) => (await areZeros(offset, blockBytes)) && areZeros(offset, 2 * blockBytes),
    async readRest() {
      while (await reader.fill(1)) take(reader.available);
    },
    close: () => reader.close(),
  };
}

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

type ParsedEntry = { readonly header: Header; readonly stream: ExtractEvents['entry'][1]; readonly next: () => void };

/**
 * Runs tar-stream's parser on demand: bytes are read only while a caller waits, and only when the parser has used those
 * that it has. So closing never waits for bytes.
 */
class TarParser {
  readonly #parser: Extract;
  readonly #feed: TarFeed;
  readonly #refuse: Refuse;
  #entry: ParsedEntry | undefined;
  #isNew = false;
  #left = 0;
  /** Offset after the entry, of the next header or of the zeros that end the archive. */
  #after = 0;
  #isHungry = true;
  #isClosed = false;
  #failure: Error | undefined;
  #wake = (): void => {};

  constructor(extract: typeof import('tar-stream').extract, bytes: AsyncIterable<Uint8Array>, refuse: Refuse) {
    // V7 is one of the formats that it does not know. With the lowest mark it emits 'drain' for each piece.
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

  /** The next entry, once the content of the one before was read; undefined at the end. */
  async next(): Promise<Header | undefined> {
    if (await this.#feed.reachesEndAt(this.#after)) {
      await this.#feed.readRest();
      return undefined;
    }
    this.#entry?.next();
    while (!this.#isNew) {
      if (this.#isClosed) return this.#end();
      await this.#step();
    }
    this.#isNew = false;
    this.#feed.resetMetadata();
    const { header, stream } = this.#entry ?? {};
    // An empty extended header makes the parser skip some bytes.
    if ((stream?.offset ?? 0) % blockBytes !== 0)
      throw this.#refuse('a header that is not at the beginning of a block');
    this.#left = header?.size ?? 0;
    this.#after = (stream?.offset ?? 0) + blockBytes * (1 + Math.ceil(this.#left / blockBytes));
    return header;
  }

  /** The content that was not yet read, or the reason why it is refused. */
  async *content(refused?: Error): AsyncGenerator<Uint8Array, void> {
    if (refused) throw refused;
    while (this.#left > 0) {
      const chunk = this.#entry?.stream.read();
      if (chunk) {
        this.#left -= chunk.length;
        this.#feed.resetMetadata();
        yield chunk;
      } else if (this.#isClosed) this.#end();
      else await this.#step();
    }
  }

  async close(): Promise<void> {
    this.#parser.destroy();
    await this.#feed.close();
  }

  #end(): undefined {
    const isCut = this.#left > 0 || this.#feed.fed % blockBytes !== 0;
    const found = this.#failure ? messageOf(this.#failure) : 'cut off';
    if (this.#failure || isCut) throw this.#refuse(`not a whole tar archive: ${found}`);
  }

  /** Gives the parser a piece if it needs one, and waits until it has something new. */
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
