import { abortError } from '../abort.ts';
import { asRegistryError, RegistryError, withAttemptsOf } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Fetched } from '../source.ts';
import { type Asked, askedOf, withAttempt } from './attempt.ts';
import { createFailures, type Failures } from './failures.ts';
import type { Reading } from './reading.ts';
import { tellSwitch } from './switch.ts';

/** How far a reading has come, and over whom. */
export interface Course {
  /** Where the next byte belongs. */
  offset: number;
  /** The host of the last opening, and what it was asked. */
  from?: string;
  asked?: Asked;
  last: string[];
  readonly failures: Failures;
  /** Breaks of each host after it had sent bytes. */
  readonly breaks: Map<string, number>;
  /** Number of the coming reopening, among those in a row that bring no byte. */
  reopenings: number;
  /** `performance.now()` when progress was told. */
  told: number;
}

/** Reopenings in a row that bring no byte, before the reading is given up. */
const patience = 3;

/** Breaks of a host that bring bytes, before it is asked last: one happens to any, the next is a habit. */
const trust = 2;

/** Milliseconds between two progress events. */
const progressEvery = 100;

export const begin = ({ range, last }: Reading): Course => ({
  offset: range.start,
  last: [...last],
  failures: createFailures(),
  breaks: new Map(),
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
  const { failures, from = '' } = course;
  const error = course.asked
    ? withAttempt(thrown, course.asked, bytes)
    : asRegistryError(thrown, 'UNAVAILABLE', `read "${descriptor.digest}"`);
  if (signal.aborted) throw interrupted(reading, course, error);
  const isEnd = course.offset === range.end && range.end > 0;
  const isLost = error.code === 'TOO_LARGE' && bytes > 0 && !reading.isHashed;
  if (course.offset === range.end && error.code !== 'TOO_LARGE') return false;
  failures.add(error);
  course.reopenings = bytes > 0 ? 1 : course.reopenings + 1;
  const breaks = (course.breaks.get(from) ?? 0) + 1;
  course.breaks.set(from, breaks);
  if (error.code === 'TOO_LARGE') reading.except.push(from);
  else if (bytes === 0 || breaks >= trust) course.last = [...course.last.filter((name) => name !== from), from];
  if (course.reopenings > patience || isEnd || isLost) throw failure(descriptor, failures);
  return true;
}

/** Asks for what is missing, from where the course stands; again, while there is patience, where it is refused for now. */
export async function open(reading: Reading, course: Course): Promise<Fetched> {
  for (;;) {
    const { descriptor, range, emit } = reading;
    const isFirst = course.failures.last === undefined;
    const isWhole = course.offset === 0 && range.end === descriptor.size && (isFirst || range.end === 0);
    const started = performance.now();
    try {
      const isOpen = isFirst && isWhole ? reading.opened : undefined;
      const fetched = isOpen ?? (await ask(reading, course, isWhole));
      if (!isOpen) tellSwitch({ emit, target: descriptor, fetched, after: course });
      course.from = fetched.from;
      course.asked = askedOf(fetched, started);
      return fetched;
    } catch (thrown) {
      refuse(reading, course, thrown);
    }
  }
}

function ask(
  { source, descriptor, range, signal, except, warned, discard }: Reading,
  course: Course,
  isWhole: boolean,
) {
  const { offset, last } = course;
  // After a break even the whole is asked for as a range: as identity, since the break may be the encoding's.
  const part = isWhole ? {} : { range: { start: offset, end: range.end } };
  return source.fetch(descriptor, { ...part, signal, last, except, discard, onWarning: warned?.add });
}

/** Notes an opening that was refused in a way that another one may mend; what is final is thrown. */
function refuse(reading: Reading, course: Course, thrown: unknown): void {
  const { failures } = course;
  if (reading.signal.aborted) throw interrupted(reading, course, thrown);
  if (!(thrown instanceof RegistryError)) throw thrown;
  failures.add(thrown);
  course.reopenings += 1;
  reading.except.push(...thrown.attempts.filter(({ outcome }) => outcome === 'TOO_LARGE').map(({ url }) => url));
  if (!isPassing(thrown) || course.reopenings > patience) throw failure(reading.descriptor, failures);
}

/** Whether a host answered, but not with what was asked for: 416, a wrong or encoded range, a short body. */
function isPassing({ code, status, attempts }: RegistryError): boolean {
  const outcomes = attempts.length > 0 ? attempts : [{ outcome: code, status }];
  return outcomes.some(
    ({ outcome, status }) =>
      (outcome === 'BAD_RESPONSE' || outcome === 'UNEXPECTED_END') && (status === undefined || status === 416),
  );
}

/** Lets the reading refuse what came; its error tells the breaks on the way, too. */
export function complete(reading: Reading, { asked, offset, failures }: Course): void {
  try {
    reading.complete();
  } catch (error) {
    if (!asked) throw error;
    failures.add(withAttempt(error, asked, offset - reading.range.start));
    throw failure(reading.descriptor, failures);
  }
}

export function tellProgress({ descriptor, emit }: Reading, course: Course, every = progressEvery): void {
  const now = performance.now();
  if (now - course.told < every || course.from === undefined) return;
  course.told = now;
  const { digest, size } = descriptor;
  emit({ type: 'progress', digest, position: course.offset, size, from: course.from });
}

const failure = ({ digest }: Descriptor, failures: Failures): RegistryError =>
  failures.combined(`read "${digest}"`, digest);

/** Why the reading was ended, with what was tried until then. */
const interrupted = ({ signal }: Reading, { failures }: Course, thrown: unknown): RegistryError =>
  withAttemptsOf(abortError(signal.reason), [...failures.all(), thrown]);
