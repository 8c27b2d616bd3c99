import { redactUrl } from '../index.ts';

/** Control and format characters, separators of lines, and halves of characters: what a terminal or a page may act on. */
const acting = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu;

/** A text from outside on one line of at most so many characters, without those that a terminal or a page acts on. */
export function printable(text: string, most = 200): string {
  const head = text.length > most * 2 ? text.slice(0, most * 2) : text;
  const plain = head.replace(acting, '\u{FFFD}').trim();
  return plain.length > most || head.length < text.length ? `${plain.slice(0, most - 1)}…` : plain;
}

/** The path of a request with its query, without secrets. */
export function pathOf({ url }: Request): string {
  const shown = redactUrl(url);
  const start = shown.indexOf('/', shown.indexOf('//') + 2);
  return printable(start === -1 ? shown : shown.slice(start), 300);
}

/** The program that sent a request, as it says itself. */
export const userAgentOf = ({ headers }: Request): string | undefined => {
  const text = headers.get('user-agent');
  return text ? printable(text, 100) : undefined;
};

/** What an error says; undefined for none. */
export function errorText(error: unknown): string | undefined {
  if (error === undefined || error === null) return undefined;
  const { message } = error as { readonly message?: unknown };
  return printable(typeof message === 'string' ? message : String(error), 400);
}

const numbers = new Intl.NumberFormat('en');

/** `12,345` */
export const numberText = (count: number): string => numbers.format(count);

/** `1 request`, `2,000 requests`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${numberText(count)} ${count === 1 ? one : many}`;

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** `999 B`, `12.3 MB`: powers of 1,000. */
export function bytesText(bytes: number): string {
  let power = 0;
  while (power < units.length - 1 && bytes >= 999.5 * 1000 ** power) power += 1;
  const amount = bytes / 1000 ** power;
  return `${amount >= 99.95 || power === 0 ? Math.round(amount) : amount.toFixed(1)} ${units[power]}`;
}

/** Seconds: `12 s`, `3 min`, `2 h 5 min`, `4 d 3 h`. */
export function secondsText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
