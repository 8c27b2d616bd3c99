const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** The unit in which this many bytes have at most three digits before the point, as a power of 1,000. */
const powerOf = (bytes: number): number => {
  let power = 0;
  while (power < units.length - 1 && bytes >= 999.95 * 1000 ** power) power += 1;
  // Bytes have no tenths: 999.95 of them are 1,000.
  return power === 0 && bytes >= 1000 ? 1 : power;
};

const amount = (bytes: number, power: number): string =>
  power === 0 ? String(Math.round(bytes)) : (bytes / 1000 ** power).toFixed(1);

/** `999 B`, `12.3 MB`: powers of 1,000. */
export const formatBytes = (bytes: number): string => {
  const power = powerOf(bytes);
  return `${amount(bytes, power)} ${units[power]}`;
};

/** `1.2/27.1 MB`, both in the unit of the whole. */
export const formatPart = (bytes: number, whole: number): string => {
  const power = powerOf(whole);
  return `${amount(bytes, power)}/${amount(whole, power)} ${units[power]}`;
};

/** Bytes per second: `945 kB/s`, `12.3 MB/s`. */
export const formatRate = (rate: number): string => {
  const power = powerOf(rate);
  const value = rate / 1000 ** power;
  return `${value >= 99.95 ? Math.round(value) : amount(rate, power)} ${units[power]}/s`;
};

/** Milliseconds: `0.4 s`, `12 s`, `3 min 4 s`, `2 h 5 min`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 9_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** The part of a digest that people recognize. */
export const shortDigest = (digest: string): string => digest.slice(digest.indexOf(':') + 1).slice(0, 12);

/** `host[:port]` of a content's source, in characters that are one column wide. */
export function hostOf(from: string): string {
  const host = URL.canParse(from) ? new URL(from).host : '';
  return (host === '' ? from : host).replace(/[^\x20-\x7e]/g, '?');
}
