import { abortError, sleep } from '../abort.ts';
import type { Digest } from '../oci/digest.ts';
import type { Blobs } from './blobs.ts';
import type { LayoutIndex } from './entries.ts';
import { checkWhole, type LayoutParts } from './index-file.ts';
import { acquire, type LockFolder, lockFacts } from './lock.ts';
import { isOwner, nobody, stateOf } from './owner.ts';
import { createExpectations, defaultGrace, isExpectation } from './push/expected.ts';
import { garbageKey } from './session.ts';
import { storeError } from './store-error.ts';
import { absences } from './verify.ts';
import { type Reached, walk } from './walk.ts';

/** How to collect. */
export interface GarbageOptions {
  readonly signal?: AbortSignal | undefined;
  /** Reports what would be removed, and removes nothing. */
  readonly dryRun?: boolean | undefined;
  /**
   * Milliseconds for which content that a server took stays, though the manifest that names it has not come yet. Default: an
   * hour. What had a name once, and what was pulled or copied, does not wait.
   */
  readonly grace?: number | undefined;
}

/** What `gc` removed, or would remove. */
export interface LayoutGarbage {
  readonly removed: readonly Digest[];
  /** Downloads that broke off. */
  readonly partials: number;
  /** Bytes that are free now. */
  readonly bytes: number;
}

/** A file of `.ocifetch`. */
interface Leftover {
  readonly path: string;
  readonly key: string;
  readonly size: number;
  /** Milliseconds since 1970, of the last write. */
  readonly modified: number;
  readonly isLive: boolean;
  /** Changes with each sign of life of an owner whose process cannot be examined; undefined if it can, or is gone. */
  readonly sign: string | undefined;
}

/** Files that do not show that content is written. */
const isTidying = ({ key }: Leftover): boolean => key === 'index' || key === garbageKey;

const uploadPrefix = 'upload-';
/** The key of an upload. */
export const uploadKey = (id: string): string => `${uploadPrefix}${id}`;
/** Milliseconds without a request after which an upload is dropped. */
const defaultUploadIdle = 86_400_000;

/** An upload that may still be continued, though nobody is writing into it now. */
const isOpenUpload = ({ key, modified }: Leftover, idle = defaultUploadIdle): boolean =>
  key.startsWith(uploadPrefix) && Date.now() - modified < idle;

/** A file that belongs to nobody and has still its use. */
const isWaiting = (one: Leftover, grace = defaultGrace): boolean => isOpenUpload(one) || isExpectation(one, grace);

/** Milliseconds between two looks at files whose owners only show by them that they are alive. */
const lookEvery = 250;

export async function collectGarbage(layout: LayoutParts, options: GarbageOptions): Promise<LayoutGarbage> {
  const { locks, index } = layout;
  const { signal, dryRun = false } = options;
  const directory = await checkWhole(layout, 'collect garbage in');
  // A dry run needs no permission to write, and what it reports may be outdated at once.
  if (dryRun) {
    await watch(layout, signal);
    return collect(layout, await index.read(), { directory, ...options });
  }
  const isDone = async (): Promise<boolean> => false;
  const lock = await acquire(locks, { key: garbageKey, takesOver: false, isDone, signal });
  try {
    await watch(layout, signal);
    return await index.whileLocked(async (entries) => collect(layout, entries, { directory, ...options }), signal);
  } finally {
    await lock?.drop();
  }
}

/** Waits until each owner whose process cannot be examined has shown a sign of life, or none for a minute. */
async function watch({ locks }: LayoutParts, signal: AbortSignal | undefined): Promise<void> {
  const first = new Map<string, string>();
  for (;;) {
    const live = (await leftoversOf(locks)).filter((one) => one.isLive && !isTidying(one));
    const isProven = live.some(({ path, sign }) => {
      const before = first.get(path) ?? sign;
      if (sign !== undefined) first.set(path, sign);
      return sign === undefined || before !== sign;
    });
    if (isProven || live.length === 0) return;
    await sleep(lookEvery, signal);
  }
}

async function collect(
  { locks, blobs }: LayoutParts,
  entries: LayoutIndex,
  { directory, signal, dryRun = false, grace = defaultGrace }: GarbageOptions & { readonly directory: string },
): Promise<LayoutGarbage> {
  const { files } = locks;
  const expectations = createExpectations(locks, blobs);
  // What comes from here on is not looked at; what is here already was expected before.
  const { digests } = await blobs.list();
  const leftovers = (await leftoversOf(locks)).filter(
    (one) => !isTidying(one) && (one.isLive || !isWaiting(one, grace)),
  );
  if (leftovers.some(({ isLive }) => isLive)) {
    throw storeError('collect garbage in', directory, 'somebody is writing into it', 'layout-in-use');
  }
  const reached: Reached[] = [];
  for await (const one of walk(entries, blobs, { signal })) reached.push(one);
  refuseGaps(reached, directory);
  const kept = new Set<string>(reached.map(({ descriptor }) => descriptor.digest));
  const expected = await expectations.reached(grace, signal);
  const garbage = digests.filter((digest) => !kept.has(digest) && !expected.has(digest));
  const removed: Digest[] = [];
  let bytes = 0;
  const remove = async (path: string): Promise<boolean> => {
    if (signal?.aborted) throw abortError(signal.reason);
    const facts = await files.examine(path);
    // A directory of such a name is not content.
    if (!facts || (facts.type === 'directory' && !facts.isLink)) return false;
    // Of a link only the name goes.
    if (!facts.isShared) bytes += facts.size;
    if (!dryRun) await files.remove(path);
    return true;
  };
  for (const { path } of leftovers) await remove(path);
  for (const digest of garbage) {
    // It may have been pushed once more just now.
    if (await expectations.has(digest, grace)) continue;
    if (await remove(blobs.pathOf(digest))) removed.push(digest);
  }
  return { removed, partials: leftovers.filter(({ size }) => size > 0).length, bytes };
}

/** What a manifest needs is unknown if it is not here, so no content is certain to be garbage. */
function refuseGaps(reached: readonly Reached[], directory: string): void {
  const documents = new Set<string>(
    reached.filter(({ as }) => as === 'entry').map(({ descriptor }) => descriptor.digest),
  );
  const [gap] = absences(reached).missing.filter(({ digest }) => documents.has(digest));
  if (!gap) return;
  const found = `"${gap.digest}", needed by ${gap.neededBy}, is missing, so what it needs is unknown`;
  throw storeError('collect garbage in', directory, `${found}. Pull it again, or remove its name`);
}

/**
 * Removes what owners that are gone have left and nobody will resume: empty files, versions of `index.json` that never got
 * their name, and downloads of content that is here. Returns the keys of what can be resumed.
 */
export function sweep(locks: LockFolder, blobs: Blobs): Promise<ReadonlySet<string>> {
  const { folder } = locks;
  const underWay = sweeps.get(folder) ?? sweepNow(locks, blobs).finally(() => sweeps.delete(folder));
  sweeps.set(folder, underWay);
  return underWay;
}

/** Those under way, by folder: pushes that begin at the same time need only one. */
const sweeps = new Map<string, Promise<ReadonlySet<string>>>();

async function sweepNow(locks: LockFolder, blobs: Blobs): Promise<ReadonlySet<string>> {
  const parts = new Set<string>();
  for (const leftover of await leftoversOf(locks)) {
    const { path, key, size, isLive } = leftover;
    if (isLive || isWaiting(leftover)) continue;
    const [, algorithm, hex] = /^(sha\d+)-([0-9a-f]+)$/.exec(key) ?? [];
    const isUseful = algorithm !== undefined && size > 0 && !(await blobs.factsOf(`${algorithm}:${hex}`));
    if (isUseful) parts.add(key);
    else await locks.files.remove(path);
  }
  return parts;
}

/** Removes uploads that nobody has continued for so many milliseconds; returns how many are left. */
export async function dropIdleUploads(locks: LockFolder, idle: number | undefined): Promise<number> {
  const uploads = (await leftoversOf(locks)).filter(({ key }) => key.startsWith(uploadPrefix));
  const dropped = uploads.filter((one) => !one.isLive && !isOpenUpload(one, idle));
  for (const { path } of dropped) await locks.files.remove(path);
  return uploads.length - dropped.length;
}

async function leftoversOf(locks: LockFolder): Promise<readonly Leftover[]> {
  const { files, folder, join } = locks;
  const leftovers: Leftover[] = [];
  for (const name of (await files.list(folder)) ?? []) {
    const dot = name.indexOf('.');
    const [key, owner] = [name.slice(0, dot), name.slice(dot + 1)];
    const path = join(folder, name);
    if (dot === -1 || !(owner === nobody || isOwner(owner))) continue;
    const facts = await lockFacts(files, path);
    if (!facts) continue;
    const isRunning = owner !== nobody && locks.owners.isRunning(owner);
    // A process of this machine that was silent for a while may still be at work.
    const isLive = stateOf(locks, owner, path, facts) === 'live' || isRunning === true;
    const sign = isLive && isRunning === undefined ? facts.version : undefined;
    const { modified } = facts;
    leftovers.push({ path, key, size: facts.isLink ? 0 : facts.size, modified, isLive, sign });
  }
  return leftovers;
}
