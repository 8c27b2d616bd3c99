import { z } from 'zod';

/** Milliseconds of each unit that Go writes durations with. https://pkg.go.dev/time#ParseDuration */
const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of a duration as Go writes it: `1h30m`, `500ms`; undefined for another text. */
export function durationOf(text: string): number | undefined {
  if (text === '0') return 0;
  if (!/^(?:\d{1,9}(?:\.\d{1,9})?(?:ns|us|µs|ms|s|m|h)){1,6}$/.test(text)) return undefined;
  const parts = text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g);
  return [...parts].reduce((sum, [, count, unit = '']) => sum + Number(count) * (units[unit] ?? 0), 0);
}

/** A duration, in milliseconds. A bare number is nanoseconds, as in Go. */
export const duration = z.union([z.string(), z.number()]).transform((value, context) => {
  const found = typeof value === 'number' ? value / 1e6 : durationOf(value);
  if (found !== undefined && found >= 0 && found < 2 ** 53) return found;
  context.addIssue({ code: 'custom', message: 'expected a duration, as 1h30m or 500ms' });
  return z.NEVER;
});

export const text = z.string('expected a text').min(1, 'expected a text');
export const flag = z.boolean('expected true or false');
export const whole = (least: number, most = 2 ** 31 - 1) =>
  z
    .int(`expected a whole number, ${least} to ${most}`)
    .min(least, `expected at least ${least}`)
    .max(most, `expected at most ${most}`);
export const url = z.string('expected a URL').refine((value) => /^https?:\/\//i.test(value) && URL.canParse(value), {
  error: 'expected a URL, as https://registry.example',
});

/** A text that may be in a file or in the environment instead, so that it is not in the file of settings. */
export const secret = z.union(
  [text, z.strictObject({ file: text }), z.strictObject({ env: text })],
  'expected a text, or an object with the file or the env that has it',
);

/** Where a secret is. */
export type SecretSetting = z.infer<typeof secret>;

/** A setting of distribution that this program does not have. */
export const unsupported = (instead = '') =>
  z
    .custom<undefined>((value) => value === undefined, `not supported${instead === '' ? '' : `: ${instead}`}`)
    .optional();

/** A setting of distribution that is met without it, as `withoutEffect` reports. */
export const needless = z.unknown().optional();

/** An object with these keys, and no others. */
export const table = <Shape extends z.core.$ZodLooseShape>(shape: Shape) =>
  z.strictObject(shape, `expected an object with ${Object.keys(shape).slice(0, 6).join(', ')}`);

/** A host and a port: `:5000`, `127.0.0.1:5000`, `[::1]:5000`. */
export const address = z.union([z.string(), z.number()]).transform((value, context) => {
  const [, v6, name = '', digits] = /^(?:\[([\da-f:.]+)\]|([^\s:/[\]@]*)):(\d{1,5})$/i.exec(String(value)) ?? [];
  const port = Number(digits);
  if (port <= 65_535) return { host: v6 ?? (name === '' ? '0.0.0.0' : name), port };
  context.addIssue({ code: 'custom', message: 'expected an address, as :5000 or 127.0.0.1:5000' });
  return z.NEVER;
});
