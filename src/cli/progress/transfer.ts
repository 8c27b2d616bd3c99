import { type ClientEvent, isIndexType, isManifestType } from '../../index.ts';
import { hostOf } from '../units.ts';

/** What is known of one content of a transfer. */
export interface Item {
  readonly digest: string;
  mediaType: string;
  readonly size: number;
  /** `queued` until its turn. */
  stage: 'queued' | 'begun' | 'waiting' | 'present' | 'stored' | 'skipped';
  position: number;
  /** Offset at which it resumed an earlier run; 0 if it began at the start. */
  resumedAt: number;
  /** Who serves it. */
  host?: string;
  /** Who has served any of it since it was begun. */
  readonly hosts: Set<string>;
  /** How often another host took over from one that had served some of it. */
  switches: number;
  /** Connections that it is read over. */
  connections: number;
  /** The last of these switches. */
  takeover?: ClientEvent;
  /** Set if its bytes were wrong and it began again: who served the last of them, and whether that host served all. */
  wrong?: { readonly host: string; readonly isSole: boolean };
  /** All of it was read and has the right digest; it may still have to be stored. */
  isVerified: boolean;
  /** Positions of the last seconds. Milliseconds. */
  readonly samples: { readonly time: number; readonly position: number }[];
}

/** Bytes per second, over the last seconds; undefined until it can be measured. */
export function rateOf({ samples, stage, position, size }: Item, time: number): number | undefined {
  const [first] = samples;
  const last = samples.at(-1);
  if (stage !== 'begun' || !first || !last || position === size || time - first.time < 200) return undefined;
  return Math.max(0, ((last.position - first.position) / (time - first.time)) * 1000);
}

/** A manifest that was read, and is stored after everything it lists. */
export const isRead = ({ stage, isVerified, mediaType }: Item): boolean =>
  stage === 'begun' && isVerified && (isManifestType(mediaType) || isIndexType(mediaType));

export const isUnderWay = (item: Item): boolean =>
  (item.stage === 'begun' && !isRead(item)) || item.stage === 'waiting';

export const isDone = ({ stage }: Item): boolean => stage === 'present' || stage === 'stored' || stage === 'skipped';

/** The state of a transfer, from its events. */
export interface Transfer {
  readonly items: ReadonlyMap<string, Item>;
  /** Bytes as sent, by host, of hosts that sent any. */
  readonly hosts: ReadonlyMap<string, number>;
  readonly requests: number;
  readonly retries: number;
  readonly started: number;
  take(event: ClientEvent): void;
}

/** `now` returns milliseconds. */
export function createTransfer(now: () => number): Transfer {
  const items = new Map<string, Item>();
  const hosts = new Map<string, number>();
  const counts = { requests: 0, retries: 0 };
  const itemOf = ({ digest, mediaType = '', size }: { digest: string; mediaType?: string; size: number }): Item => {
    const known = items.get(digest);
    if (known) return known;
    const item: Item = {
      digest,
      mediaType,
      size,
      stage: 'queued',
      position: 0,
      resumedAt: 0,
      switches: 0,
      connections: 1,
      hosts: new Set(),
      isVerified: false,
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
      else if (event.type === 'split') itemOf(event).connections = event.connections;
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
  if (state === 'begun') noteWrong(item);
  item.stage = state;
  item.mediaType = mediaType;
  if (state === 'begun' && !item.isVerified) {
    item.position = offset;
    item.resumedAt = offset;
    item.samples.splice(0, item.samples.length, { time, position: offset });
  } else if (state === 'present' || state === 'stored') {
    item.position = item.size;
  }
}

/** Called when a content begins. One that begins again after its last byte, and was not verified, had wrong bytes. */
function noteWrong(item: Item): void {
  const { host, stage, position, size, resumedAt, hosts, isVerified } = item;
  const isWrong = stage === 'begun' && position >= size && !isVerified && host !== undefined;
  if (isWrong) item.wrong = { host, isSole: resumedAt === 0 && hosts.size === 1 };
  else delete item.wrong;
  if (isWrong) delete item.host;
  hosts.clear();
}

/** Milliseconds over which a rate is measured. */
const rateWindow = 3_000;

function takeProgress(item: Item, { position, from }: EventOf<'progress'>, time: number): void {
  if (item.stage === 'queued') item.stage = 'begun';
  item.position = position;
  const host = hostOf(from);
  if (item.host === undefined && item.wrong && item.wrong.host !== host) item.switches += 1;
  item.host = host;
  item.hosts.add(host);
  item.samples.push({ time, position });
  while (item.samples.length > 2 && (item.samples[0]?.time ?? 0) < time - rateWindow) item.samples.shift();
}

/** Counts only switches away from a host that has served some of the content. */
function takeSwitch(item: Item | undefined, event: EventOf<'switch'>): void {
  const { from, to, offset } = event;
  const left = hostOf(from);
  if (!item || (offset <= item.position && !item.hosts.has(left))) return;
  item.switches += 1;
  item.takeover = event;
  item.position = Math.max(item.position, offset);
  item.host = hostOf(to);
  item.hosts.add(left);
}

function takeVerified(item: Item | undefined, { from }: EventOf<'verified'>): void {
  if (!item) return;
  item.isVerified = true;
  item.position = item.size;
  if (from !== '') item.host = hostOf(from);
}
