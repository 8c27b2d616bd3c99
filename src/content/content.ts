import { cannot } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { Cursor } from './cursor.ts';
import { Readings, type ReadingsOptions } from './readings.ts';
import { nodeStream, webStream } from './streams.ts';
import { readWhole } from './whole.ts';

/** Bounds of what is taken into memory. */
export interface BytesOptions {
  /** Most bytes to take; content that says it is larger is `TOO_LARGE` before any request. Default: its size. */
  readonly limit?: number | undefined;
}

/** Bytes from `start`, or the first one, up to but without `end`, or to the end. As `slice` counts. */
export interface PartRange {
  readonly start?: number | undefined;
  readonly end?: number | undefined;
}

/**
 * The bytes of one descriptor, wherever they come from. Nothing is asked for until it is read. A break on the way is
 * mended from the same host or the next one; a whole read is verified by its digest. Offsets count decoded bytes.
 *
 * `for await`, `read` and `seek` share one cursor; `bytes`, `text`, `json`, `stream` and `readable` begin anew and leave
 * it alone. Whoever has a Content closes it (`await using`), which ends every reading with `CLOSED`.
 */
export class Content implements AsyncIterable<Uint8Array>, AsyncDisposable {
  readonly descriptor: Descriptor;
  readonly #readings: Readings;
  readonly #cursor: Cursor;

  constructor(options: ReadingsOptions) {
    this.descriptor = options.descriptor;
    this.#readings = new Readings(options);
    this.#cursor = new Cursor(options.descriptor, this.#readings);
  }

  /** Bytes of the whole. */
  get size(): number {
    return this.descriptor.size;
  }

  /** Where the cursor stands: the offset of the next byte that `read` or `for await` gives. */
  get position(): number {
    return this.#cursor.position;
  }

  /** Who serves, or served last: the API root of a registry, a URL, `data`; undefined before anything was read. */
  get source(): string | undefined {
    return this.#readings.from;
  }

  /** What the hosts that were asked so far wish their users to be told, each once. */
  get warnings(): readonly string[] {
    return this.#readings.warnings;
  }

  /** True once the whole was read, from its first byte to its last, and had its digest. A part cannot be verified. */
  get verified(): boolean {
    return this.#readings.verified;
  }

  /**
   * The bytes from the cursor to the end, which moves along; leaving the loop frees the connection. The end is told
   * once: reading on is `CLOSED` until `seek` moves the cursor. A wrong digest is `DIGEST_MISMATCH` after the last chunk.
   */
  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#cursor.chunks();
  }

  /** The next `length` bytes; fewer only at the end, then none, once. 0 are always there. */
  read(length: number): Promise<Uint8Array> {
    return this.#cursor.read(length);
  }

  /** Moves the cursor. Where it already stands this does nothing, and a whole read stays one. Beyond the end: RangeError. */
  seek(position: number): Promise<void> {
    return this.#cursor.seek(position);
  }

  /** The bytes of a range (`end` is exclusive; the whole without one) as a web stream. Cancelling it frees the connection. */
  stream({ start = 0, end }: PartRange = {}): ReadableStream<Uint8Array> {
    return webStream(this.#readings.open({ start, end }));
  }

  /** The same as a Node stream. Destroying it frees the connection. */
  readable({ start = 0, end }: PartRange = {}): import('node:stream').Readable {
    return nodeStream(() => this.#readings.open({ start, end }));
  }

  /** All bytes, verified. Where they turn out wrong, they are read again from another host. */
  async bytes({ limit = this.size }: BytesOptions = {}): Promise<Uint8Array> {
    if (this.size > limit) {
      const found = `${this.size} bytes, at most ${limit}`;
      throw cannot('TOO_LARGE', `take "${this.descriptor.digest}"`, found, {
        value: this.descriptor.digest,
        reason: 'limit',
      });
    }
    return readWhole(this.descriptor, this.#readings);
  }

  /** The whole as text; bytes that are not UTF-8 become U+FFFD. */
  async text(options?: BytesOptions): Promise<string> {
    return new TextDecoder().decode(await this.bytes(options));
  }

  /** The whole, parsed; `BAD_RESPONSE` where it is not JSON. */
  async json(options?: BytesOptions): Promise<unknown> {
    const text = await this.text(options);
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw cannot('BAD_RESPONSE', `parse "${this.descriptor.digest}"`, 'not JSON', {
        value: this.descriptor.digest,
        cause,
      });
    }
  }

  /** Ends every reading, at once, and refuses further ones. */
  close(): Promise<void> {
    return this.#readings.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
