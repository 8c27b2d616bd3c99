import type { Extract, ExtractEvents } from 'tar-stream';
import type { Refuse } from './tar-entry.ts';
import { blockBytes, createTarFeed, type TarFeed } from './tar-feed.ts';

type Header = ExtractEvents['entry'][0];
type Entry = { readonly header: Header; readonly stream: ExtractEvents['entry'][1]; readonly next: () => void };

/**
 * Drives the parser by what is asked for: nothing is read of the bytes but while a caller waits, and only once the
 * parser has nothing left to do with those it has. So leaving never waits for bytes.
 */
export class TarParser {
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
