import { abortError, type Deadline, deadline } from '../abort.ts';
import { collectWarnings, createLiars } from '../content/attempts.ts';
import { asRegistryError, cannot, messageOf, RegistryError, restate, withAttemptsOf } from '../errors.ts';
import { createEmit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { defaultManifestBytes, isIndexType, kindOf } from '../oci/manifest.ts';
import { checkName } from '../oci/reference.ts';
import { hasSessions, isKeeper, isLister, isStore, type Source, type Store } from '../source.ts';
import { quote } from '../text/quote.ts';
import { choose, wantedPlatforms } from './choose.ts';
import type { CopyContext, CopyState } from './copy-state.ts';
import { createDocuments } from './documents.ts';
import { type Admission, admitByFlow, admitMost } from './flow.ts';
import { type Copied, type CopyOptions, checkCopyOptions } from './options.ts';

import { createQueue } from './queue.ts';
import { type Part, walk } from './walk.ts';

/**
 * Copies what a tag or digest names, with all that it is made of, from any source to any store: first what a manifest
 * lists, then the manifest, last the name. What the store has is not requested, and every byte is verified. Of an index
 * the image for this machine is taken, or what `platform` says. The first failure ends the rest.
 *
 * `NOT_FOUND` also if there is no image for the platform; `BAD_RESPONSE` if two descriptors differ in the size of one
 * content; `STORE_ERROR` for a failure of the store; `INVALID_REFERENCE` for a bad `platform` or `name`, `INVALID_CONFIG`
 * for other bad options, and for unknown ones; otherwise the errors of reading. The error says which content of the copy
 * failed, and has all attempts at it. What was copied by then stays in the store.
 */
export async function copy(from: Source, to: Store, reference: string, options: CopyOptions = {}): Promise<Copied> {
  checkCopyOptions(options);
  const context = { emit: createEmit(options.onEvent), liars: createLiars(), signals: [options.signal] };
  const manifestBytes = from.manifestBytes ?? defaultManifestBytes;
  return copyWith({ ...context, manifestBytes }, { from, to, reference, label: labelOf(from, reference), options });
}

/** The whole reference, if the source says of which repository it is. */
const labelOf = ({ repository }: Source, reference: string): string =>
  repository === undefined ? reference : `${repository}${isDigest(reference) ? '@' : ':'}${reference}`;

/** What to copy, and how. */
export interface CopyJob {
  readonly from: Source;
  readonly to: Store;
  /** Tag or digest, as the source knows it. */
  readonly reference: string;
  /** The reference, for messages. */
  readonly label: string;
  readonly options: CopyOptions;
}

/** `copy`, sharing what a client knows of hosts. */
export async function copyWith({ signals, ...context }: CopyContext, job: CopyJob): Promise<Copied> {
  const { from, to, reference, label, options } = job;
  const wanted = wantedPlatforms(options.platform);
  const name = nameOf(options) ?? (isDigest(reference) ? false : reference);
  const limit = deadline(...signals);
  const known = { tally: { copied: 0, present: 0 }, held: new Map(), sizes: new Map() };
  const queue = createQueue(admissionOf(options, known.tally), limit.signal);
  const { nonDistributable = false, verify = false } = options;
  const manifestBytes = options.limits?.manifestBytes ?? context.manifestBytes;
  const state: CopyState = { ...context, ...known, from, to, verify, signal: limit.signal, manifestBytes };
  const documents = createDocuments(state);
  const failures: RegistryError[] = [];
  const during = ending(limit, { label, reference, signals, failures });
  const endSession = hasSessions(to) ? to.begin() : undefined;
  try {
    const resolved = await during(undefined, () => resolveRoot(reference, state));
    refuseOther(resolved, job);
    const root = { descriptor: resolved, role: roleOf(resolved) };
    const isRequested = options.platform !== undefined;
    const { target, entries } = await during(root, () =>
      choose(resolved, { label, wanted, isRequested, state, documents }),
    );
    const part = { descriptor: target, role: roleOf(target) };
    const skipped = await walk(part, { state, queue, documents, entries, nonDistributable, during });
    const replaced = await during(undefined, () => giveName(state, target, name));
    return { descriptor: target, resolved, ...state.tally, skipped, ...(replaced && { replaced }) };
  } catch (error) {
    limit.cancel(error);
    await queue.idle();
    throw failures[0] ?? error;
  } finally {
    limit.end();
    await endSession?.();
  }
}

/** Of another artifact's manifest it is not known what it is made of; a store also gives names to plain content. */
function refuseOther({ mediaType, digest }: Descriptor, { from, reference, label }: CopyJob): void {
  if (isDigest(reference) || isStore(from) || kindOf(mediaType) === 'manifests') return;
  const found = `its type ${quote(mediaType)} is neither an image manifest nor an index`;
  throw cannot('UNSUPPORTED', `copy ${quote(label)}`, found, { value: digest, reference: label });
}

interface CopyEnding {
  /** Signals of the user: if one fires, no content failed. */
  readonly signals: readonly (AbortSignal | undefined)[];
  readonly label: string;
  readonly reference: string;
  /** In the order in which they came. */
  readonly failures: RegistryError[];
}

/** Runs the work for one content. Its failure is reported as a failure of the copy, and ends it. */
function ending(limit: Deadline, { label, reference, signals, failures }: CopyEnding) {
  return async <T>(part: Part | undefined, run: () => Promise<T>): Promise<T> => {
    try {
      limit.signal.throwIfAborted();
      return await run();
    } catch (thrown) {
      const ended = signals.find((signal) => signal?.aborted);
      const error = ended
        ? withAttemptsOf(abortError(ended.reason), [thrown])
        : failureOf(thrown, { label, reference }, part);
      failures.push(error);
      limit.cancel(error);
      throw error;
    }
  };
}

/** `Cannot copy "app": layer 3 of 40 "sha256:…": …`, with all facts of the failure. */
function failureOf(
  thrown: unknown,
  { label, reference }: Pick<CopyJob, 'label' | 'reference'>,
  part: Part | undefined,
): RegistryError {
  const attempted = `copy ${quote(label)}`;
  const cause = asRegistryError(thrown, 'STORE_ERROR', 'use the store');
  if (cause.attempted === attempted || cause.reason === 'platform' || cause.code === 'ABORTED') return cause;
  const which = part ? `${part.role} "${part.descriptor.digest}": ` : '';
  const isOfPart = cause.value === (part?.descriptor.digest ?? reference);
  const found = (isOfPart ? cause.found : undefined) ?? messageOf(cause);
  return restate(cause, { attempted, found: which + found, reference: label, cause });
}

function roleOf({ mediaType }: Descriptor): string {
  if (isIndexType(mediaType)) return 'index';
  return kindOf(mediaType) === 'manifests' ? 'manifest' : 'content';
}

function admissionOf({ concurrency }: CopyOptions, tally: CopyState['tally']): Admission {
  if (concurrency === undefined) return admitByFlow(() => tally.copied);
  if (Number.isSafeInteger(concurrency) && concurrency > 0) return admitMost(concurrency);
  throw cannot('INVALID_CONFIG', `copy ${quote(concurrency)} contents at a time`, 'not a number from 1 on');
}

/** The requested name; checked before anything is read, as a layout does not take every name. */
function nameOf({ name }: CopyOptions): string | false | undefined {
  if (name !== undefined && name !== false) checkName(name);
  return name;
}

/** What a reference names; if it is a digest, the store itself may know. */
async function resolveRoot(reference: string, { from, to, signal, emit }: CopyState): Promise<Descriptor> {
  if (isDigest(reference)) {
    const known = await to.resolve(reference, { signal }).catch((thrown: unknown) => {
      if (!(thrown instanceof RegistryError && thrown.code === 'NOT_FOUND')) throw thrown;
    });
    if (known && kindOf(known.mediaType) === 'manifests') return known;
  }
  const { add } = collectWarnings(emit);
  return from.resolve(reference, { signal, content: true, onWarning: add });
}

/** The last step. Content without a name is kept without one, if the store can. Returns what the name stood for before. */
async function giveName(
  { to, signal }: CopyState,
  target: Descriptor,
  name: string | false,
): Promise<Descriptor | undefined> {
  if (name === false) {
    if (isKeeper(to)) await to.keep(target, { signal });
    return undefined;
  }
  const before = await to.resolve(name, { signal }).catch((thrown: unknown) => {
    // What cannot be found or read cannot be reported either.
    if (!(thrown instanceof RegistryError && unknown.has(thrown.code))) throw thrown;
  });
  // A store may resolve a name that it does not list: to the only content it has.
  const isOther = before !== undefined && before.digest !== target.digest;
  const isNamed = isOther && (!isLister(to) || (await to.tags({ signal })).includes(name));
  await to.tag(target, name, { signal });
  return isNamed ? before : undefined;
}

const unknown: ReadonlySet<string> = new Set(['NOT_FOUND', 'BAD_RESPONSE']);
