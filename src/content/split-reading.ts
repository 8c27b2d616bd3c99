import { abortError } from '../abort.ts';
import { offerRecycling, recyclerOf } from '../body.ts';
import { RegistryError, withAttemptsOf } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Divisible, Source } from '../source.ts';
import { createProgress, withAttempt } from './attempts.ts';
import type { ContentPart } from './part.ts';
import { createParts, leastDivided, type Parts } from './parts.ts';
import { type ResumeOptions, resume } from './resume.ts';
import { createSplitPace, type SplitPace } from './split-pace.ts';

/** Most connections of one reading, of all hosts. */
const mostConnections = 12;

/**
 * As `resume`, over several connections and hosts if the source has a choice of them, and if that makes it faster. Whoever reads
 * does not notice: the bytes come in order.
 *
 * One reading goes on in order, with all that it does about breaks. Parts of what it has not reached are read ahead into a bounded
 * memory; they are worth a try and no more: what one of them does not bring is read in order.
 */
export function readContent(
  source: Source,
  descriptor: Descriptor,
  options: ResumeOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { divisible } = source;
  const { range, hosts } = options;
  const counted = { ...options, onOpen: divisible?.sharing.enter };
  // After wrong bytes, one connection shows whose they are.
  const isDivided =
    divisible &&
    divisible.sharing.choice !== 'never' &&
    range.end - range.start >= leastDivided &&
    hosts.last.length === 0 &&
    hosts.except.length === 0;
  if (!isDivided) return resume(source, descriptor, counted);
  const isForced = divisible.sharing.choice === 'always';
  const { mirrors, origins, sharing } = divisible;
  const most = Math.min(mostConnections, [...mirrors, ...origins].length * sharing.mostOfHost);
  const pace = createSplitPace({ most, isForced });
  const parts = createParts({ divisible, descriptor, reading: options, pace });
  const split: SplitReading = { source, descriptor, options: counted, divisible, pace, parts };
  return readSplit(split);
}

interface SplitReading {
  readonly source: Source;
  readonly descriptor: Descriptor;
  readonly options: ResumeOptions;
  readonly divisible: Divisible;
  readonly pace: SplitPace;
  readonly parts: Parts;
}

function readSplit(split: SplitReading): AsyncGenerator<Uint8Array, void, undefined> {
  const { options, parts } = split;
  const state: { inOrder?: AsyncGenerator<Uint8Array> } = {};
  async function* run(): AsyncGenerator<Uint8Array, void, undefined> {
    let position = options.range.start;
    const reportSplit = createSplitReport(split);
    try {
      while (position < options.range.end) {
        const { first } = parts;
        const isRead = first?.start === position;
        if (!isRead) state.inOrder = readInOrder(split, position);
        for await (const chunk of isRead ? readPart(split, first) : (state.inOrder ?? [])) {
          position += chunk.length;
          parts.at(position, !isRead);
          reportSplit(position);
          const given = performance.now();
          yield chunk;
          split.pace.held(performance.now() - given);
        }
      }
    } finally {
      parts.stop(abortError('the reader left'));
    }
  }
  // Nothing of them is kept here.
  return offerRecycling(run(), (chunk) => {
    parts.recycle(chunk);
    recyclerOf(state.inOrder)?.(chunk);
  });
}

/** Reads in order what no part brings: to the end, or up to the next part, whichever that is by then. */
async function* readInOrder(
  { source, descriptor, options, parts }: SplitReading,
  start: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { range, hosts, opened } = options;
  const isFirst = start === range.start;
  if (!isFirst) hosts.joins();
  const inOrder = resume(source, descriptor, {
    ...options,
    range: { start, end: range.end },
    stop: () => parts.firstByte ?? range.end,
    opened: isFirst ? opened : undefined,
  });
  try {
    for await (const chunk of inOrder) {
      parts.came(chunk.length);
      yield chunk;
    }
  } catch (error) {
    throw error instanceof RegistryError ? withAttemptsOf(error, [...parts.failures, error]) : error;
  }
}

/** Hands on what a part brings, until it is over or broke. */
async function* readPart(
  { descriptor, options, parts }: SplitReading,
  part: ContentPart,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { signal, hosts, onChunk, range, verify, emit } = options;
  const report = createProgress(descriptor, emit);
  let position = part.start;
  hosts.joins();
  for (let chunk = await part.next(); chunk; chunk = await part.next()) {
    if (signal.aborted) break;
    position += chunk.length;
    hosts.serves(part.host, position);
    onChunk?.(chunk, part.host);
    report(position, part.host, part.isOver && position === part.end);
    yield chunk;
  }
  if (signal.aborted) throw withAttemptsOf(abortError(signal.reason), parts.failures);
  parts.drop(part);
  if (position === range.end) verifyPart(verify, part);
}

/** As at the end of a reading in order. */
function verifyPart(verify: ResumeOptions['verify'], { sent, received }: ContentPart): void {
  try {
    verify?.();
  } catch (error) {
    throw sent ? withAttempt(error, sent, received) : error;
  }
}

/** Reports over how many connections a content is read, and of which hosts, whenever that number changes. */
function createSplitReport({ descriptor, options, pace, parts }: SplitReading): (position: number) => void {
  let reported = 1;
  return (position) => {
    const { connections } = pace;
    if (connections === reported || parts.hosts.size === 0) return;
    reported = connections;
    const { digest, size } = descriptor;
    options.emit?.({ type: 'split', digest, size, position, connections, hosts: [...parts.hosts] });
  };
}
