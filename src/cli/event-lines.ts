import type { ClientEvent } from '../index.ts';
import { oneLine } from './io.ts';
import type { Item } from './item.ts';
import type { Transfer } from './transfer.ts';
import { formatBytes, formatDuration, hostOf, shortDigest } from './units.ts';

/** What becomes of a content that is worth a line. */
const told: ReadonlySet<string> = new Set(['present', 'begun', 'waiting', 'stored', 'skipped']);

/** An event as a line of a log, where it is worth one. Asked after the transfer has taken it. */
export function eventLine(event: ClientEvent, { items }: Transfer): string | undefined {
  if (event.type === 'copy') {
    const item = items.get(event.digest);
    if (!item || !told.has(event.state)) return undefined;
    return line(event.digest, event.state, copyText(event.state, item, event.offset));
  }
  if (event.type === 'switch') {
    const { from, to, offset, reason } = event;
    const item = items.get(event.digest);
    if (item ? item.takeover !== event : offset === 0) return undefined;
    const why = reason === '' ? '' : `: ${oneLine(reason)}`;
    return line(event.digest, 'switched', `${hostOf(from)} -> ${hostOf(to)} at ${formatBytes(offset)}${why}`);
  }
  return undefined;
}

/** Without what was attempted, and the URL of it. */
const shortMessage = (message: string | undefined): string | undefined =>
  message?.replace(/^Cannot [a-z ]+(?:"[^"]*")?: /, '');

/** Outcomes that are in the nature of mirrors, of an end that was wished for, or of a disk that ends what hosts send. */
const usual: ReadonlySet<string> = new Set(['ok', 'NOT_FOUND', 'ABORTED', 'CLOSED', 'STORE_ERROR']);

/** What a user should know of a host while it happens, each once: that it fails, that it is waited for. */
export function createHostLines({ items }: Pick<Transfer, 'items'>): (event: ClientEvent) => string | undefined {
  const told = new Set<string>();
  const once = (kind: string, text: string): string | undefined => {
    if (told.has(text) || told.has(kind)) return undefined;
    told.add(text).add(kind);
    return text;
  };
  return (event) => {
    if (event.type === 'wait' && event.milliseconds >= 1_000) {
      return `waiting ${formatDuration(event.milliseconds)} for ${hostOf(event.url)}: ${oneLine(event.reason)}`;
    }
    const wrong = event.type === 'copy' && event.state === 'begun' ? items.get(event.digest)?.wrong : undefined;
    if (wrong) return once(`${wrong.host} wrong bytes`, wrongText(wrong));
    if (event.type !== 'attempt' || usual.has(event.outcome)) return undefined;
    const text = `${event.host} failed: ${oneLine(shortMessage(event.message) ?? event.outcome)}`;
    const kind = `${event.host} ${event.outcome}`;
    return once(kind, text);
  };
}

/** Who gave bytes with another digest; where several did, or an earlier time, none of them can be blamed alone. */
const wrongText = ({ host, isSole }: NonNullable<Item['wrong']>): string =>
  isSole
    ? `${host} failed: its bytes have another digest; from the beginning again`
    : `${host} gave the end of wrong bytes, others their beginning; from the beginning again`;

const line = (digest: string, word: string, text: string): string =>
  `${shortDigest(digest)}  ${word.padEnd(8)}  ${text}`.trimEnd();

function copyText(state: string, { size, host }: Item, offset: number): string {
  if (state === 'waiting') return 'for another process';
  if (state === 'skipped') return 'not distributable';
  const resumed = state === 'begun' && offset > 0 ? `resumed at ${formatBytes(offset)}` : undefined;
  const from = state === 'stored' ? host : undefined;
  return [formatBytes(size).padStart(8), resumed ?? from ?? ''].join('  ');
}
