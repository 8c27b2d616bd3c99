import { abortError } from '../deadline.ts';
import type { Digest } from '../oci/digest.ts';
import type { Blobs } from './blobs.ts';
import { storeError } from './fault.ts';
import { type Holding, stateOf } from './others.ts';
import { isOwner, nobody } from './owner.ts';
import type { Layout } from './verify.ts';
import { walk } from './walk.ts';

/** How to collect. */
export interface GarbageOptions {
  readonly signal?: AbortSignal | undefined;
  /** Tells what would be removed, and removes nothing. */
  readonly dryRun?: boolean | undefined;
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
  readonly isLive: boolean;
}

export async function collectGarbage(
  layout: Layout,
  { signal, dryRun = false }: GarbageOptions,
): Promise<LayoutGarbage> {
  const { holding, blobs, index } = layout;
  const { files, folder, join } = holding;
  // Nothing is made where there is no layout.
  if ((await files.list(join(folder, '..', 'blobs'))) === undefined && (await files.list(folder)) === undefined) {
    return { removed: [], partials: 0, bytes: 0 };
  }
  return index.hold(async (entries) => {
    const leftovers = await leftoversOf(holding);
    const live = leftovers.find(({ isLive, key }) => isLive && key !== 'index');
    if (live) throw storeError('collect garbage in', join(folder, '..'), 'somebody is writing into it');
    const kept = new Set<string>();
    for await (const { descriptor } of walk(entries, blobs, { signal })) kept.add(descriptor.digest);
    const { digests } = await blobs.list();
    const removed = digests.filter((digest) => !kept.has(digest));
    const partials = leftovers.filter(({ isLive, key }) => !isLive && key !== 'index');
    let bytes = 0;
    for (const path of [...partials.map((one) => one.path), ...removed.map(blobs.pathOf)]) {
      if (signal?.aborted) throw abortError(signal.reason);
      bytes += (await files.facts(path))?.size ?? 0;
      if (!dryRun) await files.remove(path);
    }
    return { removed, partials: partials.filter(({ size }) => size > 0).length, bytes };
  }, signal);
}

/**
 * Removes what those left who are gone, and nobody will go on with: files without a byte, versions of `index.json` that
 * never got their name, and downloads of what is here.
 */
export async function sweep(holding: Holding, blobs: Blobs): Promise<void> {
  for (const { path, key, size, isLive } of await leftoversOf(holding)) {
    if (isLive) continue;
    const [, algorithm, hex] = /^(sha\d+)-([0-9a-f]+)$/.exec(key) ?? [];
    const isUseful = algorithm !== undefined && size > 0 && !(await blobs.factsOf(`${algorithm}:${hex}`));
    if (!isUseful) await holding.files.remove(path);
  }
}

async function leftoversOf(holding: Holding): Promise<readonly Leftover[]> {
  const { files, folder, join } = holding;
  const leftovers: Leftover[] = [];
  for (const name of (await files.list(folder)) ?? []) {
    const dot = name.indexOf('.');
    const [key, owner] = [name.slice(0, dot), name.slice(dot + 1)];
    const path = join(folder, name);
    const facts = await files.facts(path);
    if (dot === -1 || !facts || !(owner === nobody || isOwner(owner))) continue;
    const isLive = stateOf(holding, owner, facts) === 'live';
    leftovers.push({ path, key, size: facts.size, isLive });
  }
  return leftovers;
}
