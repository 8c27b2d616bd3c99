import { abortError } from '../abort.ts';
import type { RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { ClosedRange } from '../oci/range.ts';
import type { Divisible, Source, SplitSharing } from '../source.ts';
import { type ContentPart, createBlocks, openPart } from './part.ts';
import type { ResumeOptions } from './resume.ts';
import type { SplitPace } from './split-pace.ts';

/** The parts of one reading that are read ahead of their turn, in their order. */
export interface Parts {
  readonly first: ContentPart | undefined;
  /** Offset of the first byte that a part has brought, beyond which nobody needs to read in order. */
  readonly firstByte: number | undefined;
  /** Why parts broke that others then brought. */
  readonly failures: readonly RegistryError[];
  /** Names of the hosts of parts. */
  readonly hosts: ReadonlySet<string>;
  /** Whoever reads in order stands at `position`; over a connection of its own if `isReading`. Begins parts if there should be more. */
  at(position: number, isReading: boolean): void;
  /** Bytes were read in order. */
  came(bytes: number): void;
  /** Gives back the memory of a chunk of a part, of no other. */
  recycle(chunk: Uint8Array): void;
  /** Drops a part that has been read. */
  drop(part: ContentPart): void;
  /** Ends all of them. */
  stop(reason: unknown): void;
}

/** Bytes of a part: a request must not cost more than it brings, and all parts must fit into the memory for them. */
const partBytes = { least: 1_048_576, most: 4_194_304 };

/** Memory for bytes that come before it is their turn, of all contents of a client. */
const mostAhead = 16_777_216;

/** Parts that are complete before their turn, beside those that come. */
const spare = 4;

/** Content with fewer bytes is not divided. */
export const leastDivided = 2 * partBytes.most;

const bytesOfPart = (connections: number): number =>
  Math.min(partBytes.most, Math.max(partBytes.least, Math.floor(mostAhead / (connections + spare))));

export interface PartsOptions {
  readonly divisible: Divisible;
  readonly descriptor: Descriptor;
  readonly reading: ResumeOptions;
  readonly pace: SplitPace;
}

export function createParts({ divisible, descriptor, reading, pace }: PartsOptions): Parts {
  const { range, signal, hosts: readingHosts, onWarning } = reading;
  const list: ContentPart[] = [];
  const failures: RegistryError[] = [];
  const served = new Set<string>();
  const blocks = createBlocks();
  let stand = { position: range.start, isReading: true };
  let isFull = false;
  /** Called for each chunk, so it makes no lists. */
  const count = (isCounted: (part: ContentPart) => boolean): number => {
    let sum = stand.isReading ? 1 : 0;
    for (const part of list) if (!part.isOver && isCounted(part)) sum += 1;
    return sum;
  };
  const running = (): number => count(() => true);
  const came = (bytes: number): void => {
    const { connections } = pace;
    pace.came(
      bytes,
      count(({ received }) => received > 0),
      isFull,
    );
    if (pace.connections > connections) begin();
  };
  const drop = (part: ContentPart): void => {
    const index = list.indexOf(part);
    if (index !== -1) list.splice(index, 1);
  };
  const ended = (part: ContentPart, error: RegistryError | undefined): void => {
    if (error) {
      failures.push(error);
      const isBusy = error.code === 'RATE_LIMITED' || error.status === 503;
      if (isBusy) pace.refused();
      else readingHosts.recordBreak(part.host, error.reason === 'too-slow' ? 0 : part.received);
    }
    // What came of it stays; the rest is nobody's.
    if (part.end === part.start) drop(part);
    begin();
  };
  const beginPart = (place: ClosedRange, host: Source): void => {
    const part = openPart({
      range: place,
      host,
      descriptor,
      signal,
      onWarning,
      blocks,
      came: (bytes) => {
        served.add(part.host);
        came(bytes);
      },
      release: divisible.sharing.release,
      leave: divisible.sharing.enter(host.name ?? ''),
      ended,
      usualSpeed: () => pace.speed,
    });
    list.push(part);
    list.sort((a, b) => a.start - b.start);
  };
  const begin = (): void => {
    isFull = false;
    while (!signal.aborted && !isFull && running() < pace.connections) {
      const place = nextPlace(list, { ...stand, bytes: bytesOfPart(pace.connections), range });
      const host = freeHost(divisible, readingHosts);
      isFull = !host || place.start >= place.end || !divisible.sharing.reserve(place.end - place.start);
      if (host && !isFull) beginPart(place, host);
    }
  };
  return {
    get first() {
      return list[0];
    },
    get firstByte() {
      return list.find(({ received }) => received > 0)?.start;
    },
    failures,
    hosts: served,
    at: (position, isReading) => {
      stand = { position, isReading };
      if (isReading) overtake(list, position);
      begin();
    },
    came,
    recycle: blocks.recycle,
    drop,
    stop: (reason) => {
      for (const part of list.splice(0)) part.stop(reason);
    },
  };
}

/** Drops parts that nobody responded to before their bytes came in order. */
function overtake(list: ContentPart[], position: number): void {
  const ahead = list.findIndex(({ start }) => start >= position);
  for (const part of list.splice(0, ahead === -1 ? list.length : ahead)) {
    part.stop(abortError('its bytes have come meanwhile'));
  }
}

/** The host with the fewest bodies open, of those that have not failed for this reading. */
function freeHost(
  { mirrors, origins, sharing }: Divisible,
  { last, except, failed, served }: ResumeOptions['hosts'],
): Source | undefined {
  const serves = ({ name = '' }: Source): boolean => served.has(name);
  const hosts = [...mirrors, ...origins.filter(serves)];
  // What an external URL or a store gives, a registry may not have.
  if (!hosts.some(serves)) return undefined;
  const bad = new Set([...last, ...except, ...failed]);
  const loads = hosts.map((host) => ({ host, name: host.name ?? '', load: sharing.openAt(host.name ?? '') }));
  const free = loads.filter(({ name, load }) => load < sharing.mostOfHost && !bad.has(name));
  return free.sort((a, b) => a.load - b.load)[0]?.host;
}

/** The first bytes that are nobody's: after those that are read in order, between two parts, or after the last one. */
function nextPlace(
  list: readonly ContentPart[],
  { position, isReading, bytes, range }: { position: number; isReading: boolean; bytes: number; range: ClosedRange },
): ClosedRange {
  let start = list[0]?.start ?? Math.min(range.end, isReading ? position + bytes : position);
  for (const part of list) {
    if (part.start > start) return { start, end: Math.min(part.start, start + bytes) };
    start = part.end;
  }
  return { start, end: Math.min(range.end, start + bytes) };
}

export interface SplitSharingOptions {
  readonly choice?: SplitSharing['choice'] | undefined;
  /** Most exchanges with a host. */
  readonly concurrency?: number | undefined;
}

export function createSplitSharing({ choice = 'auto', concurrency = 8 }: SplitSharingOptions = {}): SplitSharing {
  const open = new Map<string, number>();
  let reserved = 0;
  const count = (host: string, change: number): void => {
    const left = (open.get(host) ?? 0) + change;
    if (left > 0) open.set(host, left);
    else open.delete(host);
  };
  return {
    choice,
    mostOfHost: concurrency,
    enter: (host) => {
      let isOpen = true;
      count(host, 1);
      return () => {
        if (isOpen) count(host, -1);
        isOpen = false;
      };
    },
    openAt: (host) => open.get(host) ?? 0,
    reserve: (bytes) => {
      if (reserved + bytes > mostAhead) return false;
      reserved += bytes;
      return true;
    },
    release: (bytes) => {
      reserved -= bytes;
    },
  };
}
