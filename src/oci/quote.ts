const longest = 300;

/**
 * A value as messages show it: in quotes, control characters escaped, cut where it is long. User information of a URL
 * is struck, as people paste URLs with passwords where a name is wanted.
 */
export function quote(value: unknown): string {
  if (typeof value !== 'string') return `"${shape(value)}"`;
  const text = legible(value);
  return JSON.stringify(text.length > longest ? `${text.slice(0, longest)}…` : text);
}

/** A text without the user information of a URL in it. */
export const legible = (text: string): string => text.replace(/:\/\/.*@/s, '://***@');

function shape(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function') return 'a function';
  return String(value);
}
