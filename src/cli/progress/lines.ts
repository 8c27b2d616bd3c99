import { stripVTControlCharacters } from 'node:util';
import type { ClientEvent } from '../../index.ts';
import { oneLine, type Paint } from '../io.ts';
import { formatBytes, formatDuration, formatPart, formatRate, hostOf, shortDigest } from '../units.ts';
import { type Item, isDone, isRead, isUnderWay, rateOf, type Transfer } from './transfer.ts';

/** What a terminal can show. */
export interface Look {
  readonly columns: number;
  readonly rows: number;
  /** Milliseconds, on the transfer's clock. */
  readonly time: number;
  readonly paint: Paint;
  /** Only ASCII, for terminals without other characters. */
  readonly ascii: boolean;
}

const signs = { full: '━', empty: '─', done: '✓', resumed: '↻', switched: '⇄', times: '×', cut: '…' } as const;
const asciiSigns = { full: '=', empty: '-', done: 'ok', resumed: 'at', switched: '<>', times: 'x', cut: '~' } as const;

const signsOf = ({ ascii }: Look): typeof signs | typeof asciiSigns => (ascii ? asciiSigns : signs);

/** Columns of a short digest and the space after it. */
const idWidth = 14;

/**
 * One frame: a line for each content, or only for those under way if there are too many, and a line for all of them.
 * The last column stays free, as some terminals wrap when it is written, and so does the last row, which has the cursor.
 */
export function progressLines(transfer: Transfer, look: Look): string[] {
  const items = [...transfer.items.values()];
  const width = Math.max(20, look.columns - 1);
  const most = Math.max(1, look.rows - 2);
  const shown = items.length <= most ? items : items.filter(isUnderWay).slice(0, most);
  const running = shown.filter((item) => item.stage === 'begun' && !isRead(item));
  const columns = columnsFor(running, width - idWidth, look);
  const lineOf = (item: Item): string => {
    const id = look.paint('bold', shortDigest(item.digest).padEnd(idWidth - 2));
    const text = running.includes(item) ? runningText(item, columns, look) : restingText(item, width - idWidth, look);
    const line = `${id}  ${text}`;
    const plain = stripVTControlCharacters(line);
    return plain.length <= width ? line : clip(plain, width, look);
  };
  return [...shown.map(lineOf), totalLine(items, width, look)];
}

/** Widths of the columns of contents under way; 0 leaves a column out. The same for all of them. */
interface Columns {
  readonly bar: number;
  readonly bytes: number;
  readonly rate: number;
  readonly host: number;
  /** Marks in words. */
  readonly isLong: boolean;
}

/** The best first. `host` is the most columns that a host gets. */
const layouts = [
  { bar: 20, hasRate: true, host: 60, isLong: true },
  { bar: 5, hasRate: true, host: 16, isLong: false },
  { bar: 0, hasRate: false, host: 12, isLong: false },
] as const;

const percentWidth = 4;
/** `12.3 MB/s` */
const rateWidth = 9;

/** The first layout in which every content fits. Without any, only the percentage and marks stay. */
function columnsFor(items: readonly Item[], width: number, look: Look): Columns {
  const widest = (texts: readonly string[]): number => Math.max(0, ...texts.map((text) => text.length));
  const bytes = widest(items.map((item) => formatPart(item.size, item.size)));
  const hosts = widest(items.map(({ host = '' }) => host));
  for (const { bar, hasRate, host, isLong } of layouts) {
    const marks = widest(items.map((item) => marksOf(item, look, isLong).join(' ')));
    const columns = { bar, bytes, rate: hasRate ? rateWidth : 0, host: Math.min(host, hosts), isLong };
    const widths = [bar > 0 ? bar + 1 + percentWidth : percentWidth, bytes, columns.rate, columns.host, marks];
    if (widths.reduce((sum, one) => (one > 0 ? sum + one + 2 : sum), -2) <= width) return columns;
  }
  return { bar: 0, bytes: 0, rate: 0, host: 0, isLong: false };
}

/** Bar, percent, bytes, rate, host, marks. */
function runningText(item: Item, columns: Columns, look: Look): string {
  const { paint, time } = look;
  const { full, empty, cut } = signsOf(look);
  const rate = rateOf(item, time);
  const part = item.size === 0 ? 1 : Math.min(1, item.position / item.size);
  const filled = Math.round(part * columns.bar);
  const { host = '' } = item;
  const marks = marksOf(item, look, columns.isLong).join(' ');
  const shown = host.length <= columns.host ? host : `${host.slice(0, columns.host - cut.length)}${cut}`;
  const bar = `${paint('cyan', full.repeat(filled))}${paint('dim', empty.repeat(columns.bar - filled))} `;
  return [
    `${columns.bar > 0 ? bar : ''}${`${Math.floor(part * 100)}%`.padStart(percentWidth)}`,
    columns.bytes > 0 && formatPart(item.position, item.size).padStart(columns.bytes),
    columns.rate > 0 && (rate === undefined ? '' : formatRate(rate)).padStart(columns.rate),
    columns.host > 0 && shown.padEnd(columns.host),
    // An empty text in a colour would keep the blanks before it.
    marks !== '' && paint('yellow', marks),
  ]
    .filter((column) => column !== false)
    .join('  ')
    .trimEnd();
}

/** Over how many connections, that other hosts took over, and where an earlier run was resumed. */
function marksOf({ resumedAt, switches, connections, stage }: Item, look: Look, isLong = false): string[] {
  const { resumed, switched, times } = signsOf(look);
  const at = isLong && !look.ascii ? `${resumed} resumed at` : resumed;
  return [
    ...(connections > 1 && stage === 'begun' ? [`${times}${connections}`] : []),
    ...(switches > 0 ? [switches > 1 ? `${switched}${switches}` : switched] : []),
    ...(resumedAt > 0 ? [`${at} ${formatBytes(resumedAt)}`] : []),
  ];
}

/** A content that no bytes come for. */
function restingText(item: Item, width: number, look: Look): string {
  const { done } = signsOf(look);
  const size = formatBytes(item.size).padStart(8);
  const words: Readonly<Record<Item['stage'], string>> = {
    stored: [item.host ?? '', ...marksOf(item, look)].filter((text) => text !== '').join('  '),
    present: 'already there',
    skipped: 'left out: not distributable',
    waiting: 'waiting for another process',
    queued: 'queued',
    begun: 'read, and stored last',
  };
  const isHere = item.stage === 'stored' || item.stage === 'present';
  const text = clip(`${size}  ${words[item.stage]}`, width - done.length - 1, look);
  return isHere
    ? `${look.paint('green', done)} ${look.paint('dim', text)}`
    : `${' '.repeat(done.length)} ${look.paint('dim', text)}`;
}

function totalLine(items: readonly Item[], width: number, look: Look): string {
  const { time, paint } = look;
  const count = (test: (item: Item) => boolean): number => items.filter(test).length;
  const wanted = items.filter(({ stage }) => stage !== 'skipped');
  const size = wanted.reduce((sum, item) => sum + item.size, 0);
  const position = wanted.reduce((sum, item) => sum + item.position, 0);
  const rate = items.reduce((sum, item) => sum + (rateOf(item, time) ?? 0), 0);
  const queued = count(({ stage }) => stage === 'queued');
  const parts = [
    `${count(isDone)} done, ${count(isUnderWay)} under way${queued > 0 ? `, ${queued} queued` : ''}`,
    formatPart(position, size),
    ...(rate > 0 ? [formatRate(rate)] : []),
    ...(rate > 0 && position < size ? [`${formatDuration(((size - position) / rate) * 1000)} left`] : []),
  ];
  return paint('dim', clip(parts.join('  '), width, look));
}

function clip(text: string, width: number, look: Look): string {
  const { cut } = signsOf(look);
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - cut.length))}${cut}`;
}

/** Stages of a content that get a line in a log. */
const loggedStates: ReadonlySet<string> = new Set(['present', 'begun', 'waiting', 'stored', 'skipped']);

/** The line of a log for an event, if it gets one. Called after the transfer has taken the event. */
export function eventLine(event: ClientEvent, { items }: Transfer): string | undefined {
  if (event.type === 'copy') {
    const item = items.get(event.digest);
    if (!item || !loggedStates.has(event.state)) return undefined;
    return logLine(event.digest, event.state, copyText(event.state, item, event.offset));
  }
  if (event.type === 'split') {
    const hosts = event.hosts.map(hostOf).join(', ');
    return logLine(
      event.digest,
      'split',
      `${event.connections} connections at ${formatBytes(event.position)}  ${hosts}`,
    );
  }
  if (event.type !== 'switch') return undefined;
  const { from, to, offset, reason } = event;
  const item = items.get(event.digest);
  if (item ? item.takeover !== event : offset === 0) return undefined;
  const why = reason === '' ? '' : `: ${oneLine(reason)}`;
  return logLine(event.digest, 'switched', `${hostOf(from)} -> ${hostOf(to)} at ${formatBytes(offset)}${why}`);
}

const logLine = (digest: string, word: string, text: string): string =>
  `${shortDigest(digest)}  ${word.padEnd(8)}  ${text}`.trimEnd();

function copyText(state: string, { size, host }: Item, offset: number): string {
  if (state === 'waiting') return 'for another process';
  if (state === 'skipped') return 'not distributable';
  const resumed = state === 'begun' && offset > 0 ? `resumed at ${formatBytes(offset)}` : undefined;
  const from = state === 'stored' ? host : undefined;
  return [formatBytes(size).padStart(8), resumed ?? from ?? ''].join('  ');
}

/** Outcomes that say nothing against a host: it lacks the content, or the pull was ended by the user or the disk. */
const harmless: ReadonlySet<string> = new Set(['ok', 'NOT_FOUND', 'ABORTED', 'CLOSED', 'STORE_ERROR']);

/** Lines about hosts while a transfer runs, each once: that one fails, or has to be waited for. */
export function createHostLines({ items }: Pick<Transfer, 'items'>): (event: ClientEvent) => string | undefined {
  const reported = new Set<string>();
  const once = (kind: string, text: string): string | undefined => {
    if (reported.has(text) || reported.has(kind)) return undefined;
    reported.add(text).add(kind);
    return text;
  };
  return (event) => {
    if (event.type === 'wait' && event.milliseconds >= 1_000) {
      return `waiting ${formatDuration(event.milliseconds)} for ${hostOf(event.url)}: ${oneLine(event.reason)}`;
    }
    if (event.type === 'hedge') {
      const [from, to] = [hostOf(event.from), hostOf(event.to)];
      return once(
        `${from} silent`,
        `no response from ${from} in ${formatDuration(event.milliseconds)}: ${to} is requested, too`,
      );
    }
    const wrong = event.type === 'copy' && event.state === 'begun' ? items.get(event.digest)?.wrong : undefined;
    if (wrong) return once(`${wrong.host} wrong bytes`, wrongText(wrong));
    if (event.type !== 'attempt' || harmless.has(event.outcome)) return undefined;
    const { host, outcome, message = outcome, found = message } = event;
    return once(`${host} ${outcome}`, `${host} failed: ${oneLine(found)}`);
  };
}

/** Who served bytes with another digest. If several did, or an earlier run, no single one can be blamed. */
const wrongText = ({ host, isSole }: NonNullable<Item['wrong']>): string =>
  isSole
    ? `${host} failed: its bytes have another digest; starting over`
    : `${host} served the end of wrong bytes, others their beginning; starting over`;
