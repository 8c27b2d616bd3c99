import { type Deadline, deadline } from '../abort.ts';
import { cannot, type RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { checkRange, type Range } from '../oci/range.ts';
import type { Fetched, Source } from '../source.ts';
import { cancelWith } from './cancel-with.ts';
import { type Hash, hashOf } from './hash.ts';
import { type Held, holdOpen } from './held.ts';
import type { Liars } from './liars.ts';
import { resume } from './resume.ts';
import type { Warnings } from './warnings.ts';

export interface ReadingsOptions {
  readonly source: Source;
  readonly descriptor: Descriptor;
  readonly emit: Emit;
  readonly liars: Liars;
  /** Any of them ends what is being read. */
  readonly signals: readonly (AbortSignal | undefined)[];
  /** Milliseconds for one reading, from asking for its first byte to its end. */
  readonly operation?: number | undefined;
  /** An answer to the whole that is open already; the first whole reading takes it. */
  readonly opened?: Fetched | undefined;
  readonly warned?: Warnings | undefined;
}

export interface ReadingOptions {
  /** Continued by this reading, if it begins where the hash stands. A reading from 0 has its own where none is given. */
  readonly hash?: Hash | undefined;
  /** Names of hosts not to ask; those that send too much are added. */
  readonly except?: string[];
}

export interface Reader {
  readonly chunks: AsyncGenerator<Uint8Array, void, undefined>;
  /** Ends the reading at once, also while a chunk is awaited, and frees the connection. */
  stop(reason: unknown): void;
}

/** The readings of one content: each lazy, hashed as far as it can be, and ended with the content. */
export class Readings {
  readonly #options: ReadingsOptions;
  readonly #active = new Set<Deadline>();
  readonly #held: Held;
  #closed = false;
  /** Whether the last reading begun was a whole one that ended with its digest. */
  verified = false;
  /** Who serves, or served last. */
  from: string | undefined;

  constructor(options: ReadingsOptions) {
    this.#options = options;
    this.from = options.opened?.from;
    this.#held = holdOpen(options.opened, options.signals);
  }

  get warnings(): readonly string[] {
    return this.#options.warned?.texts() ?? [];
  }

  /** Begins a reading; nothing is asked for until its first chunk is. A range beyond the content is a RangeError. */
  open(range: Range, { hash, except = [] }: ReadingOptions = {}): Reader {
    this.mustBeOpen();
    const { source, descriptor, emit, liars, signals, operation, warned } = this.#options;
    const { start, end } = checkRange(range, descriptor.size);
    const isWhole = start === 0 && end === descriptor.size;
    const hashed = hash ?? (isWhole ? hashOf(descriptor) : undefined);
    const opened = this.#held.take(isWhole);
    const limit = deadline(...signals);
    this.#active.add(limit);
    if (opened) cancelWith(opened.body, limit.signal);
    const chunks = resume({
      source,
      descriptor,
      range: { start, end },
      signal: limit.signal,
      emit,
      opened,
      last: liars.of(descriptor.digest),
      except,
      warned,
      isHashed: hashed !== undefined,
      begin: () => {
        this.verified = false;
        if (operation !== undefined) limit.limit(operation, `read "${descriptor.digest}"`);
      },
      take: (chunk, from) => {
        this.from = from;
        if (!hashed) return;
        hashed.served.delete(from);
        hashed.served.add(from);
        hashed.hasher.update(chunk);
        hashed.at += chunk.length;
      },
      complete: () => this.#verify(hashed),
      over: () => this.#end(limit),
    });
    const stop = (reason: unknown): void => {
      limit.cancel(reason);
      // A reading that was never begun has no end of its own.
      void chunks.return().finally(() => this.#end(limit));
    };
    return { chunks, stop };
  }

  /** `CLOSED` after `close`. */
  mustBeOpen(): void {
    if (this.#closed) throw this.#closedError();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const reason = this.#closedError();
    for (const reading of this.#active) {
      reading.cancel(reason);
      this.#end(reading);
    }
    await this.#held.close(reason);
  }

  #end(reading: Deadline): void {
    reading.end();
    this.#active.delete(reading);
  }

  #closedError(): RegistryError {
    return cannot('CLOSED', `read "${this.#options.descriptor.digest}"`, 'the content was closed');
  }

  #verify(hash: Hash | undefined): void {
    const { descriptor, emit, liars } = this.#options;
    const { digest, size } = descriptor;
    if (hash?.at !== size) return;
    const found = hash.hasher.digest();
    // It is spent: no reading goes on with it.
    hash.at = -1;
    if (found !== digest) {
      liars.remember(digest, hash.served);
      const hosts = [...hash.served].join(', ');
      const host = [...hash.served].at(-1);
      throw cannot('DIGEST_MISMATCH', `verify "${digest}"`, `the bytes of ${hosts} have digest ${found}`, {
        value: digest,
        host,
      });
    }
    this.verified = true;
    emit({ type: 'verified', digest, size, from: this.from ?? '' });
  }
}
