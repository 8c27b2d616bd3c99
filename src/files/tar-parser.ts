import type { Extract, ExtractEvents } from 'tar-stream';
import { type Cursor, createCursor } from '../codec/cursor.ts';
import type { Refuse } from './tar-entry.ts';

/** Bytes of a block; headers are one, contents are filled up to whole ones. */
const blockBytes = 512;
/** Most bytes handed to the parser at once. */
const mostPiece = 65_536;
/** Most bytes, but for zeros, that are neither of a header nor of a content: of extended headers and long names. */
const mostMetadata = 1_048_576;

type Header = ExtractEvents['entry'][0];
type Entry = { readonly header: Header; readonly stream: ExtractEvents['entry'][1]; readonly next: () => void };

/**
 * Drives the parser by what is asked for: nothing is read of the bytes but while a caller waits, and only once the
 * parser has nothing left to do with those it has. So leaving never waits for bytes.
 */
export class TarParser {
  readonly #parser: Extract;
  readonly #bytes: Cursor;
  readonly #refuse: Refuse;
  #entry: Entry | undefined;
  #isNew = false;
  #left = 0;
  #fed = 0;
  #idle = 0;
  #isHungry = true;
  #isClosed = false;
  #failure: Error | undefined;
  #wake = (): void => {};

  constructor(extract: typeof import('tar-stream').extract, bytes: AsyncIterable<Uint8Array>, refuse: Refuse) {
    // Of the formats that it does not know is V7. With the lowest mark it tells of each piece that it has taken it.
    const options = { allowUnknownFormat: true, highWaterMark: 1 };
    const parser = extract(options);
    this.#parser = parser;
    this.#bytes = createCursor(bytes);
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
    this.#entry?.next();
    while (!this.#isNew) {
      if (this.#isClosed) return this.#end();
      await this.#step();
    }
    this.#isNew = false;
    this.#idle = 0;
    const { header, stream } = this.#entry ?? {};
    // An extended header of no bytes makes the parser pass over some.
    if ((stream?.offset ?? 0) % blockBytes !== 0) throw this.#refuse('a header that is not where a block begins');
    this.#left = header?.size ?? 0;
    return header;
  }

  /** What was not yet read of the content, or why it is not to be read. */
  async *content(refused?: Error): AsyncGenerator<Uint8Array, void> {
    if (refused) throw refused;
    while (this.#left > 0) {
      const chunk = this.#entry?.stream.read();
      if (chunk instanceof Uint8Array) {
        this.#left -= chunk.length;
        this.#idle = 0;
        yield chunk;
      } else if (this.#isClosed) this.#end();
      else await this.#step();
    }
  }

  async leave(): Promise<void> {
    this.#parser.destroy();
    await this.#bytes.leave();
  }

  #end(): undefined {
    const isCut = this.#left > 0 || this.#fed % blockBytes !== 0;
    if (this.#failure || isCut) throw this.#refuse(`no whole tar archive: ${this.#failure?.message ?? 'cut off'}`);
  }

  /** Waits until the parser has something new, after giving it more where it needs that. */
  async #step(): Promise<void> {
    const isHungry = this.#isHungry;
    const piece = isHungry ? await this.#piece() : undefined;
    if (this.#isClosed) return;
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (isHungry) this.#isHungry = false;
    if (piece) this.#parser.write(piece);
    else if (isHungry) this.#parser.end(null);
    await woken;
  }

  async #piece(): Promise<Uint8Array | undefined> {
    if (!(await this.#bytes.have(1))) return undefined;
    const piece = this.#bytes.pass(Math.min(mostPiece, this.#bytes.ahead));
    this.#bytes.cut();
    this.#fed += piece.length;
    this.#idle += piece.length;
    const isTooMuch = this.#idle > mostMetadata + mostPiece && piece.some((byte) => byte !== 0);
    if (isTooMuch) throw this.#refuse(`more than ${mostMetadata} bytes of extended headers before an entry`);
    return piece;
  }
}
