import { cannot } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { manifestTooLarge } from '../oci/manifest.ts';
import { asyncDispose, builtin } from '../runtime.ts';
import { readJson } from '../text/json.ts';
import { Cursor } from './cursor.ts';
import { type ContentReading, Readings, type ReadingsOptions } from './readings.ts';
import { readWhole } from './wrong-bytes.ts';

/** Bounds of what is read into memory. */
export interface BytesOptions {
  /** Most bytes to read; content that is larger by its descriptor is `TOO_LARGE` before any request. Default: its size. */
  readonly limit?: number | undefined;
}

/** Bytes from `start`, or the first one, up to but without `end`, or to the end. As `slice` counts. */
export interface PartRange {
  readonly start?: number | undefined;
  readonly end?: number | undefined;
}

/**
 * The bytes of one descriptor, wherever they come from. Nothing is requested until it is read. If a body breaks, the rest
 * comes from the same host or the next one; a whole read is verified by its digest. Offsets count decoded bytes.
 *
 * `for await`, `read` and `seek` share one cursor; `bytes`, `text`, `json`, `stream` and `readable` begin anew and do not
 * move it. Whoever has a Content closes it (`await using`), which ends every reading with `CLOSED`.
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

  /** The cursor: offset of the next byte that `read` or `for await` gives. */
  get position(): number {
    return this.#cursor.position;
  }

  /** The host that serves, or served last: the API root of a registry, a URL, `data`; undefined before anything was read. */
  get source(): string | undefined {
    return this.#readings.from;
  }

  /** Warnings of the hosts that were contacted so far, each once. */
  get warnings(): readonly string[] {
    return this.#readings.warnings;
  }

  /** True once the whole was read, from its first byte to its last, and had its digest. A part cannot be verified. */
  get verified(): boolean {
    return this.#readings.verified;
  }

  /**
   * The bytes from the cursor to the end, which moves along; leaving the loop frees the connection. The end is reported
   * once: reading further is `CLOSED` until `seek` moves the cursor. A wrong digest is `DIGEST_MISMATCH` after the last chunk.
   */
  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#cursor.chunks();
  }

  /** The next `length` bytes; fewer only at the end, then none, once. 0 are always available. */
  read(length: number): Promise<Uint8Array> {
    return this.#cursor.read(length);
  }

  /** Moves the cursor. At its own position this does nothing, and a whole read stays one. Beyond the end: RangeError. */
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

  /** All bytes, verified. If they turn out wrong, they are read again from another host. */
  async bytes({ limit = this.size }: BytesOptions = {}): Promise<Uint8Array> {
    if (this.size > limit) {
      const found = `${this.size} bytes, at most ${limit}`;
      throw cannot('TOO_LARGE', `take "${this.descriptor.digest}"`, found, {
        value: this.descriptor.digest,
        reason: 'limit',
      });
    }
    return readWhole(this.descriptor, this.#readings).catch((thrown: unknown) => {
      throw this.#readings.named(thrown);
    });
  }

  /** The whole as text; bytes that are not UTF-8 become U+FFFD. */
  async text(options?: BytesOptions): Promise<string> {
    return new TextDecoder().decode(await this.bytes(options));
  }

  /** The whole, parsed; `BAD_RESPONSE` if it is not JSON, or JSON of more than a thousand levels. */
  async json(options?: BytesOptions): Promise<unknown> {
    const read = readJson(await this.bytes(options));
    if ('value' in read) return read.value;
    const { digest } = this.descriptor;
    throw this.#readings.named(cannot('BAD_RESPONSE', `parse "${digest}"`, read.found, { value: digest }));
  }

  /** Ends every reading, at once, and refuses further ones. */
  close(): Promise<void> {
    return this.#readings.close();
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The bytes of a manifest, verified; `TOO_LARGE` before any request if it is larger than a client allows. */
export async function manifestBytesOf(content: Content, limit: number): Promise<Uint8Array> {
  if (content.size > limit) throw manifestTooLarge(content.descriptor.digest, limit, content.size);
  return content.bytes();
}

/** A reading as a web stream: nothing is read ahead of its consumer. */
function webStream({ chunks, stop }: ContentReading): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const { value } = await chunks.next();
        if (value) controller.enqueue(value);
        else controller.close();
      },
      cancel: stop,
    },
    { highWaterMark: 0 },
  );
}

/** A reading as a Node stream; `UNSUPPORTED` if the runtime has none. */
function nodeStream(open: () => ContentReading): import('node:stream').Readable {
  const streams = builtin('node:stream');
  if (!streams) throw cannot('UNSUPPORTED', 'make a Node stream', 'this runtime has none');
  const { chunks, stop } = open();
  return new streams.Readable({
    read(): void {
      chunks.next().then(
        ({ value }) => this.push(value ?? null),
        (error) => this.destroy(error),
      );
    },
    destroy(error, callback): void {
      stop(error ?? new Error('the stream was destroyed'));
      callback(error);
    },
  });
}
