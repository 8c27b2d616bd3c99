import type { Paint } from './io.ts';
import { type Item, rateOf } from './item.ts';
import { formatBytes, formatPart, formatRate } from './units.ts';

/** What a terminal shows. */
export interface Look {
  readonly columns: number;
  readonly rows: number;
  /** Milliseconds, on the transfer's clock. */
  readonly time: number;
  readonly paint: Paint;
  /** ASCII alone, for terminals that show no other. */
  readonly ascii: boolean;
}

const signs = { full: '━', empty: '─', done: '✓', resumed: '↻', switched: '⇄', cut: '…' } as const;
const asciiSigns = { full: '=', empty: '-', done: 'ok', resumed: 'at', switched: '<>', cut: '~' } as const;

export const signsOf = ({ ascii }: Pick<Look, 'ascii'>): typeof signs | typeof asciiSigns =>
  ascii ? asciiSigns : signs;

/** What there is room for of contents on their way, the same for all of them. */
export interface Layout {
  /** Columns of each; 0 where it is left out. */
  readonly bar: number;
  readonly bytes: number;
  readonly rate: number;
  readonly host: number;
  readonly isLong: boolean;
}

/** From what is best to what is least: columns of the bar, whether there is a rate, most of the host. */
const ways = [
  { bar: 20, hasRate: true, host: 60, isLong: true },
  { bar: 12, hasRate: true, host: 60, isLong: true },
  { bar: 12, hasRate: true, host: 60, isLong: false },
  { bar: 8, hasRate: true, host: 60, isLong: false },
  { bar: 5, hasRate: true, host: 60, isLong: false },
  { bar: 5, hasRate: true, host: 16, isLong: false },
  { bar: 0, hasRate: true, host: 60, isLong: false },
  { bar: 0, hasRate: true, host: 16, isLong: false },
  { bar: 0, hasRate: false, host: 24, isLong: false },
  { bar: 0, hasRate: false, host: 12, isLong: false },
  { bar: 0, hasRate: false, host: 0, isLong: false },
] as const;

const percentWidth = 4;
/** `12.3 MB/s` */
const rateWidth = 9;

/** The best way in which all of them fit into this many columns. */
export function layoutOf(items: readonly Item[], width: number, look: Look): Layout {
  const widest = (texts: readonly string[]): number => Math.max(0, ...texts.map((text) => text.length));
  const bytes = widest(items.map((item) => formatPart(item.size, item.size)));
  const hosts = widest(items.map(({ host = '' }) => host));
  for (const { bar, hasRate, host, isLong } of ways) {
    const marks = widest(items.map((item) => marksOf(item, look, isLong).join(' ')));
    const layout = { bar, bytes, rate: hasRate ? rateWidth : 0, host: Math.min(host, hosts), isLong };
    const columns = [bar > 0 ? bar + 1 + percentWidth : percentWidth, bytes, layout.rate, layout.host, marks].filter(
      (column) => column > 0,
    );
    if (columns.reduce((sum, column) => sum + column + 2, -2) <= width) return layout;
  }
  // Marks are worth more than the bytes they follow.
  return { bar: 0, bytes: 0, rate: 0, host: 0, isLong: false };
}

/** Bar, percent, bytes, rate, host, marks. */
export function runningText(item: Item, layout: Layout, look: Look): string {
  const { paint, time } = look;
  const { full, empty, cut } = signsOf(look);
  const rate = rateOf(item, time);
  const part = item.size === 0 ? 1 : Math.min(1, item.position / item.size);
  const filled = Math.round(part * layout.bar);
  const { host = '' } = item;
  const marks = marksOf(item, look, layout.isLong).join(' ');
  const shown = host.length <= layout.host ? host : `${host.slice(0, layout.host - cut.length)}${cut}`;
  const drawn = `${paint('cyan', full.repeat(filled))}${paint('dim', empty.repeat(layout.bar - filled))}`;
  const columns = [
    `${layout.bar > 0 ? `${drawn} ` : ''}${`${Math.floor(part * 100)}%`.padStart(percentWidth)}`,
    layout.bytes > 0 && formatPart(item.position, item.size).padStart(layout.bytes),
    layout.rate > 0 && (rate === undefined ? '' : formatRate(rate)).padStart(layout.rate),
    layout.host > 0 && shown.padEnd(layout.host),
    // An empty text in a colour would keep the blanks before it.
    marks !== '' && paint('yellow', marks),
  ];
  return columns
    .filter((column) => column !== false)
    .join('  ')
    .trimEnd();
}

/** That another host took over, and where it went on from an earlier time. */
export function marksOf({ resumedAt, switches }: Item, look: Pick<Look, 'ascii'>, isLong = false): string[] {
  const { resumed, switched } = signsOf(look);
  const at = isLong && !look.ascii ? `${resumed} resumed at` : resumed;
  return [
    ...(switches > 0 ? [switches > 1 ? `${switched}${switches}` : switched] : []),
    ...(resumedAt > 0 ? [`${at} ${formatBytes(resumedAt)}`] : []),
  ];
}
