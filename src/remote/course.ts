import { combineErrors } from '../combine.ts';
import { asRegistryError, RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { abortError } from '../http/deadline.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Fetched, Source } from '../source.ts';
import { type Asked, withAttempt } from './attempt.ts';
import type { ClosedRange } from './open.ts';
import type { Warnings } from './warnings.ts';

/** Bytes wanted from a source, and what is known of its hosts so far. */
export interface Reading {
  readonly source: Source;
  readonly descriptor: Descriptor;
  readonly range: ClosedRange;
  readonly signal: AbortSignal;
  readonly emit: Emit;
  /** An answer to the whole that is open already. */
  readonly opened?: Fetched | undefined;
  /** Names of hosts to ask last. */
  readonly last: readonly string[];
  /** Names of hosts not to ask; those that send too much are added. */
  readonly except: string[];
  readonly warned?: Warnings | undefined;
  /** The bytes are hashed: wrong ones are found out in the end. */
  readonly isHashed: boolean;
  /** Called when the first byte is asked for. */
  begin(): void;
  /** Called with each chunk in order, before it is handed on. */
  take(chunk: Uint8Array, from: string): void;
  /** Called after the last byte; may refuse what was read. */
  complete(): void;
  /** Called once, however the reading ends. */
  over(): void;
}

/** How far a reading has come, and over whom. */
export interface Course {
  /** Where the next byte belongs. */
  offset: number;
  /** The host of the last opening, and what it was asked. */
  from?: string;
  asked?: Asked;
  last: string[];
  readonly failures: RegistryError[];
  /** Number of the coming reopening, among those in a row that bring no byte. */
  reopenings: number;
  /** `performance.now()` when progress was told. */
  told: number;
}

/** Reopenings in a row that bring no byte, before the reading is given up. */
const patience = 3;

/** Milliseconds between two progress events. */
const progressEvery = 100;

export const begin = ({ range, last }: Reading): Course => ({
  offset: range.start,
  last: [...last],
  failures: [],
  reopenings: 0,
  told: performance.now(),
});

/**
 * Whether a break after `bytes` is mended by another opening, for which the course is set. Not needed where all bytes
 * are here: their digest tells whether a break after them matters. Throws where it cannot be: no patience is left, or
 * more came than was wanted, and what was handed on before is all there was to ask for or cannot be verified.
 */
export function isMendable(reading: Reading, course: Course, thrown: unknown, bytes: number): boolean {
  const { descriptor, range, signal } = reading;
  if (signal.aborted) throw abortError(signal.reason);
  const error = course.asked
    ? withAttempt(thrown, course.asked, bytes)
    : asRegistryError(thrown, 'UNAVAILABLE', `Cannot read "${descriptor.digest}"`);
  const isEnd = course.offset === range.end && range.end > 0;
  const isLost = error.code === 'TOO_LARGE' && bytes > 0 && !reading.isHashed;
  if (course.offset === range.end && error.code !== 'TOO_LARGE') return false;
  course.failures.push(error);
  course.reopenings = bytes > 0 ? 1 : course.reopenings + 1;
  const { from = '' } = course;
  if (error.code === 'TOO_LARGE') reading.except.push(from);
  else if (bytes === 0) course.last = [...course.last.filter((name) => name !== from), from];
  if (course.reopenings > patience || isEnd || isLost) throw failure(descriptor, course.failures);
  return true;
}

/** Asks for what is missing, from where the course stands. */
export async function open(reading: Reading, course: Course): Promise<Fetched> {
  const { source, descriptor, range, signal, emit, except, warned } = reading;
  const { offset, last, failures, from } = course;
  const started = performance.now();
  const first = failures.length === 0;
  const whole = offset === 0 && range.end === descriptor.size && (first || range.end === 0);
  if (first && whole && reading.opened) {
    course.from = reading.opened.from;
    course.asked = askedOf(reading.opened, started);
    return reading.opened;
  }
  try {
    // After a break even the whole is asked for as a range: as identity, since the break may be the encoding's.
    const part = whole ? {} : { range: { start: offset, end: range.end } };
    const fetched = await source.fetch(descriptor, { ...part, signal, last, except, onWarning: warned?.add });
    course.from = fetched.from;
    course.asked = askedOf(fetched, started);
    if (from !== undefined && from !== fetched.from) {
      const reason = failures.at(-1)?.message ?? '';
      emit({ type: 'switch', digest: descriptor.digest, offset, from, to: fetched.from, reason });
    }
    return fetched;
  } catch (error) {
    if (signal.aborted) throw abortError(signal.reason);
    if (first || !(error instanceof RegistryError)) throw error;
    throw failure(descriptor, [...failures, error]);
  }
}

/** Lets the reading refuse what came; its error tells the breaks on the way, too. */
export function complete(reading: Reading, { asked, offset, failures }: Course): void {
  try {
    reading.complete();
  } catch (error) {
    if (!asked) throw error;
    throw failure(reading.descriptor, [...failures, withAttempt(error, asked, offset - reading.range.start)]);
  }
}

function askedOf({ endpoint, from, request }: Fetched, started: number): Asked {
  const unknown = { url: /^https?:/.test(from) ? from : 'local:///', repository: '', scopes: [], capabilities: [] };
  return { endpoint: endpoint ?? unknown, method: 'GET', url: request ?? from, started };
}

export function tellProgress({ descriptor, emit }: Reading, course: Course, every = progressEvery): void {
  const now = performance.now();
  if (now - course.told < every || course.from === undefined) return;
  course.told = now;
  const { digest, size } = descriptor;
  emit({ type: 'progress', digest, position: course.offset, size, from: course.from });
}

function failure({ digest }: Descriptor, failures: readonly RegistryError[]): RegistryError {
  return combineErrors(`Cannot read "${digest}"`, failures);
}
