import { abortError } from '../abort.ts';
import { cannot } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { checkRange } from '../oci/range.ts';
import { createPile } from '../pile.ts';
import { type ContentReading, hashOf, type Readings, type RunningHash } from './readings.ts';

/** A position in a content, and the reading that continues from there. */
export class Cursor {
  readonly #descriptor: Descriptor;
  readonly #readings: Readings;
  #reading: ContentReading | undefined;
  /** Bytes of the reading that were not handed on yet. */
  #rest: Uint8Array | undefined;
  #hash: RunningHash | undefined;
  #endReported = false;
  #turn: Promise<unknown> = Promise.resolve();
  /** Offset of the next byte. */
  position = 0;

  constructor(descriptor: Descriptor, readings: Readings) {
    this.#descriptor = descriptor;
    this.#readings = readings;
  }

  /** The chunks from here to the end; leaving them ends the reading. */
  async *chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        const chunk = await this.#next();
        if (!chunk) return;
        this.position += chunk.length;
        yield chunk;
      }
    } finally {
      this.#leave();
    }
  }

  /** The next `length` bytes; fewer only at the end, then none, once. 0 bytes need no request. */
  read(length: number): Promise<Uint8Array> {
    return this.#inTurn(async () => {
      if (!Number.isSafeInteger(length) || length < 0) {
        throw new RangeError(`Cannot read "${length}" bytes: not a whole number from 0 on`);
      }
      this.#readings.mustBeOpen();
      const pile = createPile();
      while (pile.size < length) {
        const chunk = await this.#next(pile.size > 0);
        if (!chunk) break;
        const taken = chunk.subarray(0, length - pile.size);
        if (taken.length < chunk.length) this.#rest = chunk.subarray(taken.length);
        pile.add(taken);
      }
      const { size } = pile;
      // The last byte is handed on only when the digest is known to be right.
      if (!this.#rest && size > 0 && this.position + size === this.#descriptor.size) await this.#next(true);
      this.position += size;
      return pile.join();
    });
  }

  /** At its own position the hash continues; anywhere else it is lost, but for the start. */
  seek(position: number): Promise<void> {
    return this.#inTurn(async () => {
      checkRange({ start: position }, this.#descriptor.size);
      this.#readings.mustBeOpen();
      if (position !== this.position) {
        this.#leave();
        this.#rest = undefined;
        this.#hash = undefined;
      }
      this.position = position;
      this.#endReported = false;
    });
  }

  /** The next chunk. `undefined` at the end, which is reported once; a call `inside` a read does not count as a report. */
  async #next(inside = false): Promise<Uint8Array | undefined> {
    this.#readings.mustBeOpen();
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest) return rest;
    const { digest } = this.#descriptor;
    if (this.#endReported) {
      throw cannot('CLOSED', `read "${digest}"`, 'it was read to its end; seek to read again', { value: digest });
    }
    if (!this.#reading) {
      if (this.position === 0) this.#hash = hashOf(this.#descriptor);
      const hash = this.#hash?.at === this.position ? this.#hash : undefined;
      if (!hash && this.position === this.#descriptor.size) {
        // Nothing is left to read or to verify.
        this.#endReported = true;
        return undefined;
      }
      this.#reading = this.#readings.open({ start: this.position }, { hash });
    }
    try {
      const { value } = await this.#reading.chunks.next();
      if (!value && !inside) this.#endReported = true;
      return value ?? undefined;
    } catch (error) {
      this.#reading = undefined;
      this.#endReported = this.position === this.#descriptor.size;
      throw error;
    }
  }

  /** Ends the cursor's reading; the position stays. */
  #leave(): void {
    this.#reading?.stop(abortError('the reader left'));
    this.#reading = undefined;
  }

  /** Runs calls one after the other, as they share the cursor. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }
}
