import { deadline } from '../abort.ts';
import { recyclerOf } from '../body.ts';
import { asRegistryError, cannot, type RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { ClosedRange } from '../oci/range.ts';
import type { FetchOptions, Source } from '../source.ts';
import { type SentRequest, sentRequestOf, withAttempt } from './attempts.ts';

/** A part of a content that is read into memory, ahead of its turn. */
export interface ContentPart {
  readonly start: number;
  /** Exclusive. Less than was requested once it broke. */
  readonly end: number;
  readonly host: string;
  /** Its request, once it was responded to. */
  readonly sent: SentRequest | undefined;
  /** Bytes that came, and whether that is all. */
  readonly received: number;
  readonly isOver: boolean;
  /** The next chunk; undefined when there are no more. Waits for it, but not for one that comes too late. */
  next(): Promise<Uint8Array | undefined>;
  /** Ends it; nothing of it is kept. */
  stop(reason: unknown): void;
}

export interface ContentPartOptions {
  readonly range: ClosedRange;
  readonly host: Source;
  readonly descriptor: Descriptor;
  /** Ends it, too. */
  readonly signal: AbortSignal;
  readonly onWarning: FetchOptions['onWarning'];
  /** Bytes came. */
  readonly came: (bytes: number) => void;
  /** So many bytes are not kept any more, or will not come. */
  readonly release: (bytes: number) => void;
  /** Its exchange is over. */
  readonly leave: () => void;
  /** It is over, and why it broke if it did; not called for one that was stopped. */
  readonly ended: (part: ContentPart, error: RegistryError | undefined) => void;
  readonly blocks: Blocks;
  /** Bytes per second of a part. */
  readonly usualSpeed: () => number;
}

/** Milliseconds between looks at a part that is waited for, and before it is called late. */
const look = { every: 500, first: 2_000 };

/** A part that is waited for is late if it comes at less than this of the usual speed. */
const crawl = 1 / 4;

/** Gathers bytes in blocks of memory. */
interface BlockFiller {
  /** Copies bytes; each chunk that is complete goes to `full`. */
  add(bytes: Uint8Array, full: (chunk: Uint8Array) => void): void;
  /** What no chunk has yet. */
  rest(): Uint8Array | undefined;
}

/** Memory for the bytes of parts, which is used again. */
export interface Blocks {
  filler(): BlockFiller;
  /** Takes back the memory of a chunk, once each; of what is no chunk of these it does nothing. */
  recycle(chunk: Uint8Array): void;
}

const blockBytes = 262_144;

export function createBlocks(): Blocks {
  const free: Uint8Array[] = [];
  const blocks = new WeakMap<Uint8Array, Uint8Array>();
  const filler = (): BlockFiller => {
    let block: Uint8Array | undefined;
    let used = 0;
    const rest = (): Uint8Array | undefined => {
      if (!block) return undefined;
      const chunk = block.subarray(0, used);
      blocks.set(chunk, block);
      block = undefined;
      used = 0;
      return chunk;
    };
    const add: BlockFiller['add'] = (bytes, full) => {
      for (let at = 0; at < bytes.length; ) {
        block ??= free.pop() ?? new Uint8Array(blockBytes);
        const some = bytes.subarray(at, at + blockBytes - used);
        block.set(some, used);
        used += some.length;
        at += some.length;
        const chunk = used === blockBytes ? rest() : undefined;
        if (chunk) full(chunk);
      }
    };
    return { add, rest };
  };
  return {
    filler,
    recycle: (chunk) => {
      const block = blocks.get(chunk);
      if (block && blocks.delete(chunk)) free.push(block);
    },
  };
}

/** Requests a part and reads it to its end, whether or not anybody takes it. */
export function openPart(options: ContentPartOptions): ContentPart {
  const { range, host, blocks, release, ended } = options;
  const began = performance.now();
  const limit = deadline(options.signal);
  const chunks: Uint8Array[] = [];
  const filler = blocks.filler();
  const state: PartState = { received: 0, taken: 0, isOver: false, isStopped: false };
  let wake = (): void => {};
  const keep = (chunk: Uint8Array | undefined): void => {
    if (chunk) chunks.push(chunk);
    wake();
  };
  const take = (bytes: Uint8Array): void => {
    state.received += bytes.length;
    if (state.isStopped) release(bytes.length);
    else filler.add(bytes, keep);
    options.came(bytes.length);
  };
  const finish = (error?: RegistryError): void => {
    state.isOver = true;
    keep(filler.rest());
    release(range.end - range.start - state.received);
    limit.end();
    options.leave();
    if (!state.isStopped) ended(part, error);
  };
  const part: ContentPart = {
    start: range.start,
    host: host.name ?? '',
    get end() {
      return state.isOver ? range.start + state.received : range.end;
    },
    get sent() {
      return state.sent;
    },
    get received() {
      return state.received;
    },
    get isOver() {
      return state.isOver;
    },
    next: async () => {
      while (chunks.length === 0 && !state.isOver) {
        await woken((set) => {
          wake = set;
        });
        if (chunks.length === 0 && isLate(options, state, began)) limit.cancel(tooSlow(options));
      }
      const chunk = chunks.shift();
      state.taken += chunk?.length ?? 0;
      release(chunk?.length ?? 0);
      return chunk;
    },
    stop: (reason) => {
      if (!state.isStopped) release(state.received - state.taken);
      state.isStopped = true;
      chunks.length = 0;
      limit.cancel(reason);
    },
  };
  const note = (sent: SentRequest): void => {
    state.sent = sent;
  };
  receive(options, { signal: limit.signal, began, note, take }).then(
    () => finish(),
    (thrown: unknown) => {
      const error = asRegistryError(thrown, 'UNAVAILABLE', `read "${options.descriptor.digest}"`);
      finish(state.sent ? withAttempt(error, state.sent, state.received) : error);
    },
  );
  return part;
}

interface PartState {
  received: number;
  taken: number;
  isOver: boolean;
  isStopped: boolean;
  sent?: SentRequest;
}

/** Resolves when what `listen` was given is called, or after a while. */
function woken(listen: (wake: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, look.every);
    listen(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function isLate({ usualSpeed }: ContentPartOptions, { received, isOver }: PartState, began: number): boolean {
  const age = performance.now() - began;
  return !isOver && age >= look.first && (received * 1_000) / age < usualSpeed() * crawl;
}

const tooSlow = ({ descriptor: { digest }, range }: ContentPartOptions): RegistryError =>
  cannot('TIMEOUT', `read "${digest}"`, `${partText(range)} come more slowly than others`, {
    value: digest,
    reason: 'too-slow',
  });

interface Receiving {
  readonly signal: AbortSignal;
  readonly began: number;
  readonly note: (sent: SentRequest) => void;
  readonly take: (chunk: Uint8Array) => void;
}

/** Exactly the bytes of the range, or an error. */
async function receive(
  { host, descriptor, range, onWarning }: ContentPartOptions,
  { signal, began, note, take }: Receiving,
): Promise<void> {
  const { digest } = descriptor;
  const fetched = await host.fetch(descriptor, { range, signal, more: true, isPart: true, onWarning });
  note(sentRequestOf(fetched, began));
  const { body } = fetched;
  const recycle = recyclerOf(body);
  let left = range.end - range.start;
  try {
    for await (const chunk of body) {
      if (chunk.length > left) {
        throw cannot('TOO_LARGE', `read "${digest}"`, `the host sent more than ${partText(range)}`, { value: digest });
      }
      left -= chunk.length;
      take(chunk);
      recycle?.(chunk);
    }
    if (left === 0) return;
    throw cannot('UNEXPECTED_END', `read "${digest}"`, `${partText(range)} ended ${left} bytes early`, {
      value: digest,
    });
  } finally {
    await body.cancel().catch(() => {});
  }
}

const partText = ({ start, end }: ClosedRange): string => `bytes ${start}-${end - 1}`;
