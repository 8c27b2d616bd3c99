import type { ClientOptions } from '../index.ts';
import { type Given, type Option, UsageError } from './command.ts';
import { oneOf } from './parse.ts';

/** A flag in place of a setting of ocifetch's own file. */
interface LimitOption extends Option {
  readonly type: 'string';
  /** Of the setting in the file: `timeouts.connect`. */
  readonly key: string;
  /** Also 0. */
  readonly orZero?: true;
}

const time = (key: string, help: string, orZero?: true): LimitOption => ({
  type: 'string',
  value: 'TIME',
  key: `timeouts.${key}`,
  help,
  ...(orZero && { orZero }),
});

const limit = (value: 'SIZE' | 'N', key: string, help: string, orZero?: true): LimitOption => ({
  type: 'string',
  value,
  key: `limits.${key}`,
  help,
  ...(orZero && { orZero }),
});

/** Limits of whatever requests something, doctor's steps included. */
export const sizeOptions = {
  'manifest-bytes': limit('SIZE', 'manifestBytes', 'largest manifest or index; default: 4MiB'),
  'token-bytes': limit('SIZE', 'tokenBytes', 'largest response with a token; default: 1MiB'),
  'discard-bytes': limit(
    'SIZE',
    'discardBytes',
    'most to drop at a host without ranges, to reach one; default: 16MiB',
    true,
  ),
  redirects: limit('N', 'redirects', 'most redirects of a request; default: 10', true),
} satisfies Readonly<Record<string, LimitOption>>;

/** Options of the commands that request something. */
export const networkOptions = {
  timeout: time('headers', 'for the head of a response: 90, 90s, 2m; default: 30s, or 10s if another host is left'),
  'connect-timeout': time('connect', 'to connect, TLS included; default: 10s, or 3s if another host is left'),
  'idle-timeout': time('idle', 'without a byte of a body; default: 30s'),
  'operation-timeout': time('operation', 'to resolve the reference, or to read one content; default: none'),
  'unread-timeout': time('unread', 'that a request waits for bodies that nobody reads; default: 60s'),
  'retry-after': time('retryAfter', 'longest Retry-After that is waited for; default: 60s', true),
  pause: time('pause', 'that a host that failed is skipped; default: 30s', true),
  'minimum-speed': {
    ...time('minimumSpeed', 'bytes a second, else another host takes over; default: 4KiB', true),
    value: 'SIZE',
  },
  hedge: time('hedge', 'without a response, then the next host is requested, too; default: 300ms', true),
  crawl: time('crawl', 'below a tenth of the speed of others, then the next host continues; default: 5s', true),
  retries: {
    type: 'string',
    value: 'N',
    key: 'retries.tries',
    orZero: true,
    help: 'further requests to a host that fails; default: 2, or more in mid-pull',
  },
  backoff: {
    ...time('', 'before the second request, doubled each time; default: 200ms', true),
    key: 'retries.backoff',
  },
  split: {
    type: 'string',
    value: 'WHEN',
    key: 'limits.split',
    help: 'several connections for one content: auto, always, never; default: auto',
  },
  'host-concurrency': limit('N', 'concurrency', 'exchanges with one host at a time; default: 8'),
  ...sizeOptions,
} satisfies Readonly<Record<string, LimitOption>>;

/** Options of the commands that list what a repository has. */
export const listOptions = {
  ...networkOptions,
  pages: limit('N', 'pages', 'most pages of a list; default: 1000'),
  'list-bytes': limit('SIZE', 'listBytes', 'most bytes of a list, all pages together; default: 16MiB'),
} satisfies Readonly<Record<string, LimitOption>>;

/** Options of the commands for the files of an image. */
export const fileOptions = {
  ...networkOptions,
  'image-entries': limit('N', 'imageEntries', 'most entries of all layers; default: 1000000'),
  'image-tree-bytes': limit('SIZE', 'imageTreeBytes', 'most memory for their names; default: 160MiB'),
} satisfies Readonly<Record<string, LimitOption>>;

type Settings = Pick<ClientOptions, 'timeouts' | 'retries' | 'limits'>;

/** What the flags say of a client's limits; UsageError for a wrong value. */
export const limitsOf = (given: Pick<Given, 'texts'>): Settings =>
  settingsOf({ ...listOptions, ...fileOptions }, given);

/** Those of `sizeOptions`. */
export const sizesOf = (given: Pick<Given, 'texts'>): Settings['limits'] => settingsOf(sizeOptions, given).limits;

function settingsOf(options: Readonly<Record<string, LimitOption>>, { texts }: Pick<Given, 'texts'>): Settings {
  const settings: Record<'timeouts' | 'retries' | 'limits', Record<string, number | string>> = {
    timeouts: {},
    retries: {},
    limits: {},
  };
  for (const [flag, option] of Object.entries(options)) {
    const text = texts[flag];
    if (text === undefined) continue;
    const [group, key = ''] = option.key.split('.') as ['timeouts' | 'retries' | 'limits', string?];
    if (option.value === 'WHEN') settings[group][key] = oneOf(`--${flag}`, text, ['auto', 'always', 'never']);
    else settings[group][key] = readValue(`--${flag}`, option, text) + (flag === 'retries' ? 1 : 0);
  }
  return settings;
}

const milliseconds: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 };
/** The longest time that a timer takes. */
const longest = 2 ** 31 - 1;

const bytes: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
};

const readers = {
  TIME: {
    wanted: 'a time',
    such: 'such as 90s or 2m',
    read: (text: string) => {
      const [, number, unit = 's'] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|min|h)?$/.exec(text) ?? [];
      return Number(number) * (milliseconds[unit] ?? Number.NaN);
    },
    most: longest,
  },
  SIZE: {
    wanted: 'a size',
    such: 'such as 8MiB or 500kB',
    read: (text: string) => {
      const [, number, unit = ''] = /^(\d{1,12}(?:\.\d{1,3})?) ?((?:[kmg]i?)?)b?$/i.exec(text) ?? [];
      return Number(number) * (bytes[unit.toLowerCase()] ?? Number.NaN);
    },
    most: Number.MAX_SAFE_INTEGER,
  },
  N: {
    wanted: 'a whole number',
    such: 'such as 20',
    read: (text: string) => (/^\d{1,9}$/.test(text) ? Number(text) : Number.NaN),
    most: 999_999_999,
  },
} as const;

/** The value of a flag: a time in milliseconds, a size in bytes, or a number. UsageError for anything else. */
export function readValue(
  flag: string,
  { value, orZero }: Pick<LimitOption, 'value' | 'orZero'>,
  text: string,
): number {
  const { wanted, such, read, most } = readers[value as keyof typeof readers];
  const found = read(text);
  const rounded = Math.round(found);
  if (found === 0 ? orZero : rounded >= 1 && rounded <= most) return rounded;
  throw new UsageError(`Flag "${flag}" needs ${wanted}${orZero ? '' : ' above 0'}, ${such}: "${text}"`);
}
