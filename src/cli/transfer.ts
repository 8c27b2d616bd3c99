import type { ClientEvent } from '../index.ts';
import type { Item } from './item.ts';
import { hostOf } from './units.ts';

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
      hosts: new Set(),
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
  if (state === 'begun') noteWrong(item);
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

/** Before a beginning: whatever begins again after its last byte had wrong ones. */
function noteWrong(item: Item): void {
  const { host, stage, position, size, resumedAt, hosts, isVerified } = item;
  const isAgain = stage === 'begun' && position >= size && !isVerified && host !== undefined;
  if (isAgain) item.wrong = { host, isSole: resumedAt === 0 && hosts.size === 1 };
  else delete item.wrong;
  if (isAgain) delete item.host;
  hosts.clear();
}

function takeProgress(item: Item, { position, from }: EventOf<'progress'>, time: number): void {
  if (item.stage === 'queued') item.stage = 'begun';
  item.position = position;
  const host = hostOf(from);
  if (item.host === undefined && item.wrong && item.wrong.host !== host) item.switches += 1;
  item.host = host;
  item.hosts.add(host);
  item.samples.push({ time, position });
  while (item.samples.length > 2 && (item.samples[0]?.time ?? 0) < time - window) item.samples.shift();
}

/** A host that gave bytes is left for another one; one that is passed over before it gave any is only not asked. */
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
