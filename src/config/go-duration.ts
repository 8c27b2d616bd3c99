/** Milliseconds of Go's units. */
const units: ReadonlyMap<string, number> = new Map([
  ['ns', 1e-6],
  ['us', 1e-3],
  // The micro sign and the Greek letter.
  ['\u00b5s', 1e-3],
  ['\u03bcs', 1e-3],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/**
 * The milliseconds of a duration as Go writes it: `300ms`, `-1.5h`, `2h45m`, `0`; undefined for a text that is none.
 * https://pkg.go.dev/time#ParseDuration
 */
export function parseGoDuration(text: string): number | undefined {
  const [, sign = '', rest = ''] = /^([-+]?)(.*)$/s.exec(text) ?? [];
  if (rest === '0') return 0;
  let milliseconds = 0;
  let end = 0;
  for (const [part, amount = '', unit = ''] of rest.matchAll(/(\d+(?:\.\d*)?|\.\d+)([a-z\u00b5\u03bc]+)/gy)) {
    const factor = units.get(unit);
    if (factor === undefined) return undefined;
    milliseconds += Number(amount) * factor;
    end += part.length;
  }
  if (end === 0 || end < rest.length) return undefined;
  return sign === '-' ? -milliseconds : milliseconds;
}
