import { abortError, type Deadline, deadline, onAbort } from '../abort.ts';
import { cannot, naming, type RegistryError, type Subject } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { createHasher, type Digest, type Hasher } from '../oci/digest.ts';
import { checkRange, type Range } from '../oci/range.ts';
import type { Fetched, Source } from '../source.ts';
import { createHosts, type Liars, type ReadingHosts, type Warnings } from './attempts.ts';
import { readContent } from './split-reading.ts';

/** A hash over the bytes from 0 up to `at`. */
export interface RunningHash {
  readonly hasher: Hasher;
  at: number;
  /** Names of the hosts that gave them, the latest one at the end. */
  readonly served: Set<string>;
}

export const hashOf = ({ digest }: Descriptor): RunningHash => ({
  hasher: createHasher(digest),
  at: 0,
  served: new Set(),
});

export interface ReadingsOptions {
  readonly source: Source;
  readonly descriptor: Descriptor;
  /** What its errors name. */
  readonly subject?: Subject | undefined;
  /** The manifest that lists it. */
  readonly manifest?: Digest | undefined;
  /** Most bytes to drop to reach an offset, at the last host; the source's own limit when left out. */
  readonly discard?: number | undefined;
  readonly emit: Emit;
  readonly liars: Liars;
  /** Any of them ends what is being read. */
  readonly signals: readonly (AbortSignal | undefined)[];
  /** Milliseconds for one reading, from the request for its first byte to its end. */
  readonly operation?: number | undefined;
  /** Milliseconds before a reading's second reopening in a row that brings too little. */
  readonly backoff?: number | undefined;
  /** A response for the whole that is open already; the first whole reading takes it. */
  readonly opened?: Fetched | undefined;
  readonly warned?: Warnings | undefined;
}

export interface ReadingOptions {
  /** Continued by this reading, if it begins where the hash stands. A whole reading without it makes its own. */
  readonly hash?: RunningHash | undefined;
  /** Names of hosts not to contact. */
  readonly except?: readonly string[] | undefined;
  /** Errors do not name the subject: the caller combines them first. */
  readonly bare?: boolean | undefined;
}

/** One reading: nothing is requested until its first chunk is. */
export interface ContentReading {
  readonly chunks: AsyncGenerator<Uint8Array, void, undefined>;
  /** Who gave its bytes, as far as it has come. */
  readonly hosts: ReadingHosts;
  /** Ends the reading at once, also while a chunk is awaited, and frees the connection. */
  stop(reason: unknown): void;
}

/** The readings of one content: each lazy, hashed as far as it can be, and ended with the content. */
export class Readings {
  readonly #options: ReadingsOptions;
  readonly #active = new Set<Deadline>();
  readonly #held: HeldResponse;
  #closed = false;
  /** Whether the last reading begun was a whole one that ended with its digest. */
  verified = false;
  /** Name of the host that serves, or served last. */
  from: string | undefined;

  constructor(options: ReadingsOptions) {
    this.#options = options;
    this.from = options.opened?.from;
    this.#held = holdResponse(options.opened, options.signals);
  }

  get warnings(): readonly string[] {
    return this.#options.warned?.texts() ?? [];
  }

  /** Begins a reading. A range beyond the content is a RangeError. */
  open(range: Range, { hash, except, bare }: ReadingOptions = {}): ContentReading {
    this.mustBeOpen();
    const { source, descriptor, manifest, discard, emit, liars, signals, warned, backoff } = this.#options;
    const { start, end } = checkRange(range, descriptor.size);
    const isWhole = start === 0 && end === descriptor.size;
    const hashed = hash ?? (isWhole ? hashOf(descriptor) : undefined);
    const opened = this.#held.take(isWhole);
    const limit = deadline(...signals);
    this.#active.add(limit);
    if (opened) cancelOnAbort(opened, limit.signal);
    const hosts = createHosts({ last: liars.of(descriptor.digest), except, served: hashed?.served });
    const resumed = readContent(source, descriptor, {
      range: { start, end },
      signal: limit.signal,
      hosts,
      manifest,
      discard,
      backoff,
      emit,
      opened,
      onWarning: warned?.add,
      onChunk: (chunk, from) => {
        this.from = from;
        if (!hashed) return;
        hashed.hasher.update(chunk);
        hashed.at += chunk.length;
      },
      verify: hashed && (() => this.#verify(hashed)),
    });
    const chunks = this.#run(resumed, limit, bare);
    const stop = (reason: unknown): void => {
      limit.cancel(reason);
      // A reading that was never begun has no end of its own.
      void chunks.return().finally(() => this.#end(limit));
    };
    return { chunks, hosts, stop };
  }

  /** An error that names what the content is of. */
  named(thrown: unknown): unknown {
    const { subject } = this.#options;
    return subject ? naming(thrown, subject) : thrown;
  }

  /** `CLOSED` after `close`. */
  mustBeOpen(): void {
    if (this.#closed) throw this.#closedError();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const reason = this.#closedError();
    for (const limit of this.#active) {
      limit.cancel(reason);
      this.#end(limit);
    }
    await this.#held.close(reason);
  }

  /** Runs a reading within its time limit, which begins with the request for its first chunk. */
  async *#run(
    resumed: AsyncGenerator<Uint8Array, void, undefined>,
    limit: Deadline,
    bare = false,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { operation, descriptor } = this.#options;
    this.verified = false;
    if (operation !== undefined) limit.limit(operation, `read "${descriptor.digest}"`, { limit: 'timeouts.operation' });
    try {
      yield* resumed;
    } catch (thrown) {
      throw bare ? thrown : this.named(thrown);
    } finally {
      this.#end(limit);
    }
  }

  #end(limit: Deadline): void {
    limit.end();
    this.#active.delete(limit);
  }

  #closedError(): RegistryError {
    return cannot('CLOSED', `read "${this.#options.descriptor.digest}"`, 'the content was closed');
  }

  #verify(hash: RunningHash): void {
    const { descriptor, emit, liars } = this.#options;
    const { digest, size } = descriptor;
    if (hash.at !== size) return;
    const found = hash.hasher.digest();
    // It is used up: no reading continues it.
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

/** A response that is open before anybody reads it: it ends with the signals of its content, as long as it is held. */
interface HeldResponse {
  /** Hands it over to a reading of the whole; for a part it is of no use, and is ended. */
  take(isWhole: boolean): Fetched | undefined;
  close(reason: unknown): Promise<void>;
}

function holdResponse(opened: Fetched | undefined, signals: ReadingsOptions['signals']): HeldResponse {
  let held = opened;
  const limit = deadline(...signals);
  if (opened) cancelOnAbort(opened, limit.signal);
  else limit.end();
  const release = (): Fetched | undefined => {
    const released = held;
    held = undefined;
    limit.end();
    return released;
  };
  const close = async (reason: unknown): Promise<void> => release()?.body.cancel(reason);
  return {
    take: (isWhole) => {
      if (isWhole) return release();
      close(abortError('another part of it is read first')).catch(() => {});
      return undefined;
    },
    close,
  };
}

/** Frees the connection as soon as the signal fires, also while nobody reads. */
function cancelOnAbort({ body }: Fetched, signal: AbortSignal): void {
  onAbort(signal, (reason) => {
    body.cancel(reason).catch(() => {});
  });
}
