const longest = 300;

/**
 * A value as messages show it: in quotes, control characters escaped, cut where it is long. User information is struck,
 * as people paste URLs and `user:password@host` where a name is wanted.
 */
export function quote(value: unknown): string {
  if (typeof value !== 'string') return `"${shape(value)}"`;
  const text = legible(value);
  return JSON.stringify(text.length > longest ? `${text.slice(0, longest)}…` : text);
}

/** A text without the user information of a URL in it, or what stands for it: `name:tag@digest` stays. */
export const legible = (text: string): string =>
  text.replace(/:\/\/.*@/s, '://***@').replace(/^[^/@:]+:[^/@]*@(?!\w+:)/, '***@');

function shape(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function') return 'a function';
  return String(value);
}
