import { abortError, defaultBackoff, jittered, sleep } from '../abort.ts';
import { offerRecycling, recyclerOf } from '../body.ts';
import { failedBefore } from '../combine.ts';
import { redactUrl } from '../endpoint.ts';
import { asRegistryError, cannot, messageOf, RegistryError, withAttemptsOf } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { ClosedRange } from '../oci/range.ts';
import type { Body, Fetched, FetchOptions, Source } from '../source.ts';
import {
  createFailures,
  createProgress,
  type Failures,
  type ReadingHosts,
  type ReportProgress,
  type SentRequest,
  sentRequestOf,
  withAttempt,
} from './attempts.ts';

/** How to read a range. `discard`, `manifest`, `oneOfMany` and `onWarning` are handed to the source. */
export interface ResumeOptions extends Pick<FetchOptions, 'discard' | 'manifest' | 'oneOfMany' | 'onWarning'> {
  readonly range: ClosedRange;
  /** Where to stop instead, as somebody else reads what follows; it may change on the way. */
  readonly stop?: (() => number) | undefined;
  readonly signal: AbortSignal;
  /** The hosts of this reading: in which order to contact them, and how they have behaved. */
  readonly hosts: ReadingHosts;
  /** Called with each chunk in order, before it is handed on. */
  readonly onChunk?: ((chunk: Uint8Array, from: string) => void) | undefined;
  /** Called after the last byte; throws to refuse what was read. */
  readonly verify?: (() => void) | undefined;
  /** The digest of all bytes is verified in the end, here or by the reader: wrong ones cannot pass. Default: if there is `verify`. */
  readonly isVerified?: boolean | undefined;
  /** Milliseconds before the second reopening in a row that brings too little, give or take a half; doubles each time. Default 200. */
  readonly backoff?: number | undefined;
  /** Called with the name of the host whose body was opened; what it gives is called when that is over. */
  readonly onOpen?: ((from: string) => () => void) | undefined;
  /** Receives `progress`, `switch` and `wait` events. */
  readonly emit?: Emit | undefined;
  /** A response for the whole that is open already, used instead of the first request. */
  readonly opened?: Fetched | undefined;
}

interface Job extends ResumeOptions {
  readonly source: Source;
  readonly descriptor: Descriptor;
}

/** How far a reading has come. */
interface Course {
  /** Where the next byte belongs. */
  offset: number;
  /** Name of the host whose body was opened last, and what it was sent. */
  from?: string;
  sent?: SentRequest;
  body?: Body;
  readonly failures: Failures;
  /** 1 after an opening that brought enough; each further one in a row that brought too little adds 1. */
  fruitless: number;
  /** All reopenings. */
  reopenings: number;
  readonly report: ReportProgress;
}

/** Fewer bytes count as nothing: a host that sends one of each response would never be given up. */
const leastProgress = 65_536;

/** Reopenings in a row that bring too little, before the reading gives up. */
const patience = 3;

/** Reopenings of one reading, whatever they bring: a hundred, and one for each MiB of the range. */
const mostReopenings = ({ start, end }: ClosedRange): number => 100 + Math.ceil((end - start) / 1_048_576);

/** Where the reading ends, as things are. */
const endOf = ({ range, stop }: Pick<Job, 'range' | 'stop'>): number => Math.min(range.end, stop?.() ?? range.end);

/**
 * Reads a range to its end, whatever breaks on the way: fetches the rest from the source again, from where it stands.
 * Exactly the bytes of the range come out, or one error that lists every break.
 */
export function resume(
  source: Source,
  descriptor: Descriptor,
  options: ResumeOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const course: Course = {
    offset: options.range.start,
    failures: createFailures(),
    fruitless: 0,
    reopenings: 0,
    report: createProgress(descriptor, options.emit),
  };
  const chunks = run({ source, descriptor, ...options }, course);
  // Nothing of them is kept here.
  return offerRecycling(chunks, (chunk) => recyclerOf(course.body)?.(chunk));
}

async function* run(job: Job, course: Course): AsyncGenerator<Uint8Array, void, undefined> {
  const { descriptor, range, hosts, onOpen } = job;
  // Whether empty content exists only a host can say; an empty part needs no request.
  let isMissing = range.start < range.end || descriptor.size === 0;
  while (isMissing) {
    const requested = endOf(job);
    const fetched = await open(job, course);
    const start = course.offset;
    const close = onOpen?.(fetched.from);
    try {
      yield* chunksOf(fetched, job, course);
      // What somebody else was to read from there on may be left to this reading again.
      if (course.offset < Math.min(requested, endOf(job))) throw unexpectedEnd(descriptor, course.offset);
      isMissing = course.offset < endOf(job);
    } catch (thrown) {
      const error = breakOf(job, course, { thrown, bytes: course.offset - start });
      // After the last byte a break does not matter: the digest says whether the bytes are right.
      isMissing = course.offset < endOf(job) || error.code === 'TOO_LARGE';
      if (isMissing) prepareReopening(job, course, { error, bytes: course.offset - start });
    } finally {
      // However it ended: whoever stops here knows how far it came.
      if (course.offset > start) course.report(course.offset, course.from, true);
      await fetched.body.cancel().catch(() => {});
      close?.();
    }
    if (isMissing && course.offset > start) hosts.joins();
  }
  if (course.offset === range.end) verifyAtEnd(job, course);
}

/** The chunks of a response, up to where the reading ends. */
async function* chunksOf({ body, from }: Fetched, job: Job, course: Course): AsyncGenerator<Uint8Array> {
  const { descriptor, range, signal, hosts, onChunk } = job;
  for await (const chunk of body) {
    if (signal.aborted) throw abortError(signal.reason);
    if (course.offset + chunk.length > range.end) throw tooLarge(descriptor, range);
    const left = endOf(job) - course.offset;
    const given = chunk.length > left ? chunk.subarray(0, Math.max(0, left)) : chunk;
    course.offset += given.length;
    hosts.serves(from, course.offset);
    onChunk?.(given, from);
    course.report(course.offset, from);
    yield given;
    if (course.offset >= endOf(job) && course.offset < range.end) return;
  }
}

/** Fetches what is missing; again, while there is patience, if the refusal may be temporary. */
async function open(job: Job, course: Course): Promise<Fetched> {
  const { source, descriptor, range, signal, hosts, discard, manifest, oneOfMany, onWarning, emit } = job;
  for (;;) {
    const isFirst = course.failures.last === undefined;
    // After a break even the whole is requested as a range: as identity, since the encoding may have caused the break.
    const isWhole = course.offset === 0 && range.end === descriptor.size && (isFirst || range.end === 0);
    const part = isWhole ? {} : { range: { start: course.offset, end: endOf(job) } };
    const started = performance.now();
    const opened = isFirst && isWhole ? job.opened : undefined;
    try {
      await waitBefore(job, course);
      const { last, except } = hosts;
      const how = { ...part, signal, last, except, discard, manifest, oneOfMany, onWarning };
      const fetched = opened ?? (await source.fetch(descriptor, how));
      if (!opened && emit) reportSwitch(emit, fetched, course);
      for (const { from } of failedBefore(fetched)) if (from !== undefined) hosts.failed.add(from);
      course.from = fetched.from;
      course.body = fetched.body;
      course.sent = sentRequestOf(fetched, started);
      return fetched;
    } catch (thrown) {
      recordRefusal(job, course, thrown);
    }
  }
}

/** Waits before another request if the latest ones brought too little. The first reopening is not delayed. */
async function waitBefore({ backoff = defaultBackoff, signal, emit }: Job, { fruitless, sent, failures }: Course) {
  if (fruitless < 2) return;
  const milliseconds = jittered(backoff, fruitless - 1);
  const reason = messageOf(failures.last);
  if (sent) emit?.({ type: 'wait', url: redactUrl(sent.url), milliseconds: Math.round(milliseconds), reason });
  await sleep(milliseconds, signal);
}

/** Records a response that another request may replace; throws what is final. */
function recordRefusal({ descriptor, range, signal, hosts }: Job, course: Course, thrown: unknown): void {
  const { failures } = course;
  if (signal.aborted) throw interrupted(signal, failures, thrown);
  if (!(thrown instanceof RegistryError)) throw thrown;
  failures.add(thrown);
  course.fruitless += 1;
  course.reopenings += 1;
  for (const { outcome, url } of thrown.attempts) if (outcome === 'TOO_LARGE') hosts.exclude(url);
  if (!isWrongResponse(thrown) || isOutOfPatience(course, range)) throw combined(descriptor, failures);
}

const isOutOfPatience = ({ fruitless, reopenings }: Course, range: ClosedRange): boolean =>
  fruitless > patience || reopenings > mostReopenings(range);

/** Whether a host responded, but not with what was requested, so that another request may get it: 416, a wrong or encoded range, a short body. */
function isWrongResponse({ code, status, attempts }: RegistryError): boolean {
  const outcomes = attempts.length > 0 ? attempts : [{ outcome: code, status }];
  return outcomes.some(
    ({ outcome, status }) =>
      (outcome === 'BAD_RESPONSE' || outcome === 'UNEXPECTED_END') && (status === undefined || status === 416),
  );
}

/** The error of a body that broke after `bytes`; throws if the reading itself was ended. */
function breakOf(
  { descriptor, signal }: Job,
  { sent, failures }: Course,
  { thrown, bytes }: { readonly thrown: unknown; readonly bytes: number },
): RegistryError {
  const error = sent
    ? withAttempt(thrown, sent, bytes)
    : asRegistryError(thrown, 'UNAVAILABLE', `read "${descriptor.digest}"`);
  if (signal.aborted) throw interrupted(signal, failures, error);
  return error;
}

/** Records a break, so that the next request goes elsewhere if need be; throws if there must not be another one. */
function prepareReopening(
  { descriptor, range, hosts, verify, isVerified = verify !== undefined }: Job,
  course: Course,
  { error, bytes }: { readonly error: RegistryError; readonly bytes: number },
): void {
  const { failures, offset, from = '' } = course;
  const isTooLarge = error.code === 'TOO_LARGE';
  failures.add(error);
  course.reopenings += 1;
  if (isTooLarge) hosts.exclude(from);
  // A first break of a host that sent bytes is not counted: the next host may be healthy.
  // A slow host goes last at once. It is broken off only while another one has not failed, so at most once.
  const isSlow = error.reason === 'too-slow';
  const isTrusted = hosts.recordBreak(from, isSlow ? 0 : bytes);
  if (bytes >= leastProgress) course.fruitless = 1;
  else course.fruitless = Math.max(1, course.fruitless + (isTrusted || isSlow ? 0 : 1));
  // Too much, after bytes of this host were handed on: final if the range is complete, or if no digest would show wrong ones.
  const isFinal = isTooLarge && ((offset === range.end && range.end > 0) || (bytes > 0 && !isVerified));
  if (isFinal || isOutOfPatience(course, range)) throw combined(descriptor, failures);
}

/** Lets the caller refuse what was read; the error lists the breaks on the way, too. */
function verifyAtEnd({ descriptor, range, verify }: Job, { sent, offset, failures }: Course): void {
  try {
    verify?.();
  } catch (error) {
    if (!sent) throw error;
    failures.add(withAttempt(error, sent, offset - range.start));
    throw combined(descriptor, failures);
  }
}

/** Reports that another host serves than before, or than the first that was contacted. */
export function reportSwitch(
  emit: Emit,
  fetched: Fetched,
  { offset, from: previous, failures }: Partial<Pick<Course, 'offset' | 'from' | 'failures'>> = {},
): void {
  const to = fetched.from;
  const [failed] = failedBefore(fetched).filter(({ from }) => from !== undefined && from !== to);
  const from = previous ?? failed?.from;
  if (from === undefined || from === to) return;
  const error = previous === undefined ? failed?.error : failures?.last;
  const reason = error === undefined ? '' : messageOf(error);
  emit({ type: 'switch', digest: fetched.descriptor.digest, offset: offset ?? 0, from, to, reason });
}

const combined = ({ digest }: Descriptor, failures: Failures): RegistryError =>
  failures.combined(`read "${digest}"`, digest);

/** Why the reading was ended, with what was tried until then. */
const interrupted = ({ reason }: AbortSignal, failures: Failures, thrown: unknown): RegistryError =>
  withAttemptsOf(abortError(reason), [...failures.all(), thrown]);

function tooLarge({ digest, size }: Descriptor, range: ClosedRange): RegistryError {
  const expected = range.end === size ? `${size} bytes` : `bytes ${range.start}-${range.end - 1}`;
  return cannot('TOO_LARGE', `read "${digest}"`, `the host sent more than its ${expected}`, { value: digest });
}

function unexpectedEnd({ digest, size }: Descriptor, offset: number): RegistryError {
  return cannot('UNEXPECTED_END', `read "${digest}"`, `it ended after ${offset} of ${size} bytes`, { value: digest });
}
