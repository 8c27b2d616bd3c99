import type { ClientOptions } from '../index.ts';
import { type Given, type Option, UsageError } from './command.ts';

/** Sizes that a client allows. */
export const sizeOptions = {
  'manifest-bytes': { type: 'string', value: 'SIZE', help: 'largest manifest or index; default: 4MiB' },
  'token-bytes': { type: 'string', value: 'SIZE', help: 'largest response with a token; default: 1MiB' },
  'discard-bytes': {
    type: 'string',
    value: 'SIZE',
    help: 'most to drop at a host without ranges, to reach one; default: 16MiB',
  },
} as const satisfies Readonly<Record<string, Option>>;

/** Options of the commands that request something, in place of the same settings of ocifetch's own file. */
export const networkOptions = {
  timeout: {
    type: 'string',
    value: 'TIME',
    help: 'for the head of a response: 90, 90s, 2m; default: 30s, or 10s if another host is left',
  },
  'idle-timeout': { type: 'string', value: 'TIME', help: 'without a byte of a body; default: 30s' },
  retries: {
    type: 'string',
    value: 'N',
    help: 'further requests to a host that fails; default: 2, or more in mid-pull',
  },
  ...sizeOptions,
} as const satisfies Readonly<Record<string, Option>>;

/** The flag for a limit that an error names. */
export const flagsOfLimits: Readonly<Record<string, string>> = {
  'limits.manifestBytes': '--manifest-bytes',
  'limits.tokenBytes': '--token-bytes',
  'limits.discardBytes': '--discard-bytes',
  'timeouts.headers': '--timeout',
  'timeouts.idle': '--idle-timeout',
};

/** What the flags say of a client's limits; UsageError for a wrong value. */
export function limitsOf({ texts }: Given): Pick<ClientOptions, 'timeouts' | 'retries' | 'limits'> {
  const timeouts = { headers: timeOf('timeout', texts.timeout), idle: timeOf('idle-timeout', texts['idle-timeout']) };
  return { timeouts, retries: { tries: triesOf(texts.retries) }, limits: sizesOf({ texts }) };
}

export const sizesOf = ({ texts }: Pick<Given, 'texts'>): NonNullable<ClientOptions['limits']> => ({
  manifestBytes: sizeOf('manifest-bytes', texts['manifest-bytes']),
  tokenBytes: sizeOf('token-bytes', texts['token-bytes']),
  discardBytes: sizeOf('discard-bytes', texts['discard-bytes']),
});

const milliseconds: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 };
/** The longest time that a timer takes. */
const longest = 2 ** 31 - 1;

function timeOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, number, unit = 's'] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|min|h)?$/.exec(text) ?? [];
  const time = Math.round(Number(number) * (milliseconds[unit] ?? Number.NaN));
  if (time >= 1 && time <= longest) return time;
  throw new UsageError(`Flag "--${flag}" needs a time above 0, such as 90s or 2m: "${text}"`);
}

const units: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
};

function sizeOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, number, unit = ''] = /^(\d{1,12}(?:\.\d{1,3})?) ?((?:[kmg]i?)?)b?$/i.exec(text) ?? [];
  const size = Math.round(Number(number) * (units[unit.toLowerCase()] ?? Number.NaN));
  if (size >= 1 && Number.isSafeInteger(size)) return size;
  throw new UsageError(`Flag "--${flag}" needs a size above 0, such as 8MiB or 500kB: "${text}"`);
}

function triesOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,3}$/.test(text)) return Number(text) + 1;
  throw new UsageError(`Flag "--retries" needs a number from 0 to 999: "${text}"`);
}
