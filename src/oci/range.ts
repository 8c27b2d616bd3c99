/** Bytes from `start` up to but without `end`; to the end of the content if `end` is left out. As `slice` counts. */
export interface Range {
  readonly start: number;
  readonly end?: number | undefined;
}

/** A range with both ends. */
export type ClosedRange = Required<{ readonly [Key in keyof Range]: number }>;

/** A range of content of `size` bytes, with its end; undefined for the whole. */
export const closeRange = (range: Range | undefined, size: number): ClosedRange | undefined =>
  range && { start: range.start, end: Math.min(range.end ?? size, size) };

/** A parsed `Content-Range`; `size` is left out for `*`. */
export interface ContentRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly size?: number;
}

const isPosition = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/**
 * A range with both ends, of a content of `size` bytes; an end beyond the content is its end.
 * Throws a `RangeError` for anything but a position, an end before the start, a start beyond the content.
 */
export function checkRange(range: Range, size: number): ClosedRange {
  const { start, end = size } = range;
  const shown = `read bytes "${start}-${range.end ?? ''}" of ${size}`;
  if (!isPosition(start)) throw new RangeError(`${shown}: start is not a whole number from 0 on`);
  if (!isPosition(end) && end !== Number.POSITIVE_INFINITY) {
    throw new RangeError(`${shown}: end is not a whole number from 0 on`);
  }
  if (start > size) throw new RangeError(`${shown}: start beyond the end`);
  if (end < start) throw new RangeError(`${shown}: end before start`);
  return { start, end: Math.min(end, size) };
}

/** The `Range` header: `bytes=0-9` for the first ten bytes. An empty range has none: `RangeError`. */
export function formatRange({ start, end }: Range): string {
  if (!isPosition(start) || (end !== undefined && (!isPosition(end) || end <= start))) {
    throw new RangeError(`Cannot request bytes "${start}-${end ?? ''}": not a range with a byte in it`);
  }
  return `bytes=${start}-${end === undefined ? '' : end - 1}`;
}

/**
 * Reads a `Range` header against a content of `size` bytes. Undefined means: respond as if it were not there, as a server
 * may for several ranges and must for an unknown unit. One that ends before it begins is refused, as a server may. https://www.rfc-editor.org/rfc/rfc9110#section-14.2
 */
export function parseRange(
  header: string,
  size: number,
): { readonly start: number; readonly end: number } | 'unsatisfiable' | undefined {
  const [, first = '', last = ''] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header) ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const suffix = Math.min(Number(last), size);
    return suffix === 0 ? 'unsatisfiable' : { start: size - suffix, end: size };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return 'unsatisfiable';
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size : Math.min(Number(last) + 1, size) };
}

/** The `Content-Range` header: `bytes 0-9/100`, or `bytes 0-9/*` if the size is unknown. An empty range has none. */
export function formatContentRange({ start, end, size }: ContentRange): string {
  if (!isPosition(start) || !isPosition(end) || end <= start || (size !== undefined && size < end)) {
    throw new RangeError(`Cannot write content range "${start}-${end}/${size ?? '*'}": not bytes of a content`);
  }
  return `bytes ${start}-${end - 1}/${size ?? '*'}`;
}

/** The `Content-Range` header of a 416: `bytes *` + `/100`. */
export const formatUnsatisfied = (size: number): string => `bytes */${size}`;

/**
 * Reads a `Content-Range` header. Undefined if it is malformed, contradicts itself, has numbers too large to count
 * with, or has no range (`bytes *` + `/100`). https://www.rfc-editor.org/rfc/rfc9110#section-14.4
 */
export function parseContentRange(text: string): ContentRange | undefined {
  const [, first, last, total] = /^bytes[ \t]+(\d+)-(\d+)\/(\d+|\*)$/i.exec(text.trim()) ?? [];
  if (first === undefined || last === undefined) return undefined;
  const start = Number(first);
  const end = Number(last) + 1;
  const size = total === '*' ? undefined : Number(total);
  if (!isPosition(start) || !isPosition(end) || end <= start) return undefined;
  if (size === undefined) return { start, end };
  return isPosition(size) && end <= size ? { start, end, size } : undefined;
}
