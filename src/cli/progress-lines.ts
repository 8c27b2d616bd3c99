import { stripVTControlCharacters } from 'node:util';
import { type Item, isDone, isRead, isUnderWay, rateOf } from './item.ts';
import { type Look, layoutOf, marksOf, runningText, signsOf } from './progress-row.ts';
import type { Transfer } from './transfer.ts';
import { formatBytes, formatDuration, formatPart, formatRate, shortDigest } from './units.ts';

/** One frame: a line for each content, or where they do not fit for those that are under way; last the whole. */
export function progressLines(transfer: Transfer, look: Look): string[] {
  const items = [...transfer.items.values()];
  // The last column stays free, as some terminals wrap when it is written, and the last row is the cursor's.
  const width = Math.max(20, look.columns - 1);
  const most = Math.max(1, look.rows - 2);
  const shown = items.length <= most ? items : items.filter(isUnderWay).slice(0, most);
  const running = shown.filter((item) => item.stage === 'begun' && !isRead(item));
  const layout = layoutOf(running, width - idWidth, look);
  const lineOf = (item: Item): string => {
    const id = look.paint('bold', shortDigest(item.digest).padEnd(idWidth - 2));
    const text = running.includes(item) ? runningText(item, layout, look) : restingText(item, width - idWidth, look);
    const line = `${id}  ${text}`;
    const plain = stripVTControlCharacters(line);
    return plain.length <= width ? line : clip(plain, width, signsOf(look).cut);
  };
  return [...shown.map(lineOf), totalLine(items, width, look)];
}

/** Of the short digest, and the space behind it. */
const idWidth = 14;

/** What is said of a content that is not on its way. */
function restingText(item: Item, width: number, look: Look): string {
  const { done, cut } = signsOf(look);
  const size = formatBytes(item.size).padStart(8);
  const host = item.host ?? '';
  const words: Readonly<Record<Item['stage'], string>> = {
    stored: [host, ...marksOf(item, look)].filter((text) => text !== '').join('  '),
    present: 'there already',
    skipped: 'left out: not distributable',
    waiting: 'waiting for another process',
    queued: 'to come',
    begun: 'read, and stored last',
  };
  const isHere = item.stage === 'stored' || item.stage === 'present';
  const text = clip(`${size}  ${words[item.stage]}`, width - done.length - 1, cut);
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
  const left = rate > 0 && position < size ? [`${formatDuration(((size - position) / rate) * 1000)} left`] : [];
  const parts = [
    `${count(isDone)} done, ${count(isUnderWay)} under way${queued > 0 ? `, ${queued} to come` : ''}`,
    formatPart(position, size),
    ...(rate > 0 ? [formatRate(rate)] : []),
    ...left,
  ];
  return paint('dim', clip(parts.join('  '), width, signsOf(look).cut));
}

const clip = (text: string, width: number, cut: string): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - cut.length))}${cut}`;
