import { type ClientEvent, isIndexType, isManifestType } from '../index.ts';
import { hostOf } from './units.ts';

/** What is known of one content. */
export interface Item {
  readonly digest: string;
  mediaType: string;
  readonly size: number;
  /** `queued` until it is its turn. */
  stage: 'queued' | 'begun' | 'waiting' | 'present' | 'stored' | 'skipped';
  position: number;
  /** Where it went on from an earlier time; 0 where it began at its beginning. */
  resumedAt: number;
  /** Who serves it. */
  host?: string;
  switches: number;
  /** All of it was read, and is right; it may have to wait until it is stored. */
  isVerified: boolean;
  /** When it was begun, and when it was done. Milliseconds. */
  begun: number;
  done?: number;
  /** Of the last seconds: when, and where it stood. */
  readonly samples: { readonly time: number; readonly position: number }[];
}

/** A transfer as its events tell it. */
export interface Transfer {
  readonly items: ReadonlyMap<string, Item>;
  /** Bytes as sent, of each host that was asked and sent any. */
  readonly hosts: ReadonlyMap<string, number>;
  readonly requests: number;
  readonly retries: number;
  readonly started: number;
  take(event: ClientEvent): void;
}

/** Milliseconds over which a rate is taken. */
const window = 3_000;

/** `now` gives milliseconds. */
export function createTransfer(now: () => number): Transfer {
  const items = new Map<string, Item>();
  const hosts = new Map<string, number>();
  const counts = { requests: 0, retries: 0 };
  const itemOf = ({ digest, mediaType = '', size }: { digest: string; mediaType?: string; size: number }): Item => {
    const known = items.get(digest);
    if (known) return known;
    const begun = now();
    const item: Item = {
      digest,
      mediaType,
      size,
      stage: 'queued',
      position: 0,
      resumedAt: 0,
      switches: 0,
      isVerified: false,
      begun,
      samples: [],
    };
    items.set(digest, item);
    return item;
  };
  return {
    items,
    hosts,
    get requests() {
      return counts.requests;
    },
    get retries() {
      return counts.retries;
    },
    started: now(),
    take: (event) => {
      if (event.type === 'copy') takeCopy(itemOf(event), event, now());
      else if (event.type === 'progress') takeProgress(itemOf(event), event, now());
      else if (event.type === 'switch') takeSwitch(items.get(event.digest), event);
      else if (event.type === 'verified') takeVerified(items.get(event.digest), event);
      else if (event.type === 'request') counts.requests += 1;
      else if (event.type === 'wait') counts.retries += 1;
      else if (event.type === 'attempt' && event.bytes > 0)
        hosts.set(event.host, (hosts.get(event.host) ?? 0) + event.bytes);
    },
  };
}

type EventOf<Type extends ClientEvent['type']> = Extract<ClientEvent, { readonly type: Type }>;

function takeCopy(item: Item, { state, offset, mediaType }: EventOf<'copy'>, time: number): void {
  item.stage = state;
  item.mediaType = mediaType;
  if (state === 'begun' && !item.isVerified) {
    item.position = offset;
    item.resumedAt = offset;
    item.begun = time;
    item.samples.splice(0, item.samples.length, { time, position: offset });
  } else if (state === 'present' || state === 'stored') {
    item.position = item.size;
    item.done = time;
  }
}

function takeProgress(item: Item, { position, from }: EventOf<'progress'>, time: number): void {
  if (item.stage === 'queued') item.stage = 'begun';
  item.position = position;
  item.host = hostOf(from);
  item.samples.push({ time, position });
  while (item.samples.length > 2 && (item.samples[0]?.time ?? 0) < time - window) item.samples.shift();
}

function takeSwitch(item: Item | undefined, { to }: EventOf<'switch'>): void {
  if (!item) return;
  item.switches += 1;
  item.host = hostOf(to);
}

function takeVerified(item: Item | undefined, { from }: EventOf<'verified'>): void {
  if (!item) return;
  item.isVerified = true;
  item.position = item.size;
  if (from !== '') item.host = hostOf(from);
}

/** Bytes in a second, of late; undefined before that can be told. */
export function rateOf({ samples, stage, position, size }: Item, time: number): number | undefined {
  const [first] = samples;
  const last = samples.at(-1);
  if (stage !== 'begun' || !first || !last || position === size || time - first.time < 200) return undefined;
  return Math.max(0, ((last.position - first.position) / (time - first.time)) * 1000);
}

/** A manifest that is here, and waits for what it lists. */
export const isRead = ({ stage, isVerified, mediaType }: Item): boolean =>
  stage === 'begun' && isVerified && (isManifestType(mediaType) || isIndexType(mediaType));

export const isUnderWay = (item: Item): boolean =>
  (item.stage === 'begun' && !isRead(item)) || item.stage === 'waiting';

export const isDone = ({ stage }: Item): boolean => stage === 'present' || stage === 'stored' || stage === 'skipped';
