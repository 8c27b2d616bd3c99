import { type Cursor, createCursor } from '../codec/cursor.ts';
import { blockBytes, type Refuse } from './tar-header.ts';

/** Where a reader of an archive stands: between blocks, or in the content of an entry. */
export class Blocks {
  /** Makes the errors of this archive. */
  readonly refuse: Refuse;
  readonly #cursor: Cursor;
  #left = 0;
  #padding = 0;

  constructor(bytes: AsyncIterable<Uint8Array>, refuse: Refuse) {
    this.#cursor = createCursor(bytes);
    this.refuse = refuse;
  }

  /** Bytes of the content that were not yet read. */
  get left(): number {
    return this.#left;
  }

  /** Whether another byte comes. */
  more(): Promise<boolean> {
    return this.#cursor.have(1);
  }

  /** The next block, not of a content. */
  block(): Promise<Uint8Array> {
    return this.#take(blockBytes);
  }

  /** A content of so many bytes comes next. */
  begin(size: number): void {
    this.#left = size;
    this.#padding = (blockBytes - (size % blockBytes)) % blockBytes;
  }

  /** The rest of the content, in pieces. */
  async *data(): AsyncGenerator<Uint8Array, void> {
    while (this.#left > 0) {
      const bytes = await this.#some(this.#left);
      this.#left -= bytes.length;
      yield bytes;
    }
  }

  /** So many bytes of the content, in one piece. */
  async content(count: number): Promise<Uint8Array> {
    if (count > this.#left) throw this.refuse('a list of parts that is longer than its entry');
    const bytes = await this.#take(count);
    this.#left -= count;
    return bytes;
  }

  /** Goes to the block after the content. What fills up the last block may be missing, as Go has it. */
  async skip(): Promise<void> {
    while (this.#left > 0) this.#left -= (await this.#some(this.#left)).length;
    while (this.#padding > 0 && (await this.more())) this.#padding -= (await this.#some(this.#padding)).length;
  }

  /** Reads whatever is left. */
  async drain(): Promise<void> {
    while (await this.#cursor.have(1)) {
      this.#cursor.pass(this.#cursor.ahead);
      this.#cursor.cut();
    }
  }

  /** Leaves the bytes, unless they ended. */
  leave(): Promise<void> {
    return this.#cursor.leave();
  }

  async #some(most: number): Promise<Uint8Array> {
    if (this.#cursor.ahead === 0 && !(await this.#cursor.have(1))) throw this.#truncated();
    const bytes = this.#cursor.pass(Math.min(most, this.#cursor.ahead));
    this.#cursor.cut();
    return bytes;
  }

  async #take(count: number): Promise<Uint8Array> {
    if (!(await this.#cursor.have(count))) throw this.#truncated();
    const bytes = this.#cursor.pass(count);
    this.#cursor.cut();
    return bytes;
  }

  #truncated(): Error {
    return this.refuse('an end in the middle of an entry');
  }
}
