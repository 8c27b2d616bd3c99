import { RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Index } from '../oci/manifest.ts';
import { isIndexType } from '../oci/media-type.ts';
import type { Platform } from '../oci/platform.ts';
import { isAttestation, noPlatformError, selectPlatform } from '../oci/select-platform.ts';

/** Deepest nesting of indexes. */
export const mostDepth = 16;

/** What of an index is to be copied. */
export interface Choice {
  /** What the store's name stands for. */
  readonly target: Descriptor;
  /** The entries to copy, by the digest of their index; all of an index that is not here. */
  readonly entries: ReadonlyMap<string, readonly Descriptor[]>;
}

export interface ChoiceOptions {
  /** How the reference is called in messages. */
  readonly label: string;
  readonly wanted: readonly Platform[];
  /** The index that a descriptor names. */
  readonly read: (descriptor: Descriptor) => Promise<Index>;
}

/** An image of an index, and the indexes that lead to it. */
interface Offer {
  readonly descriptor: Descriptor;
  readonly path: readonly Descriptor[];
}

/**
 * The images of an index that run best on the platforms wanted. One platform: that image alone, also out of an index in
 * the index. Several: the index as it is, with those images. An index of which no entry is for a platform (of charts, of
 * signatures) is copied whole. `NOT_FOUND` where a platform has no image, listing those that there are.
 */
export async function choose(root: Descriptor, options: ChoiceOptions): Promise<Choice> {
  const { wanted, label } = options;
  const offers = await offersOf(root, options);
  if (offers.length === 0) return { target: root, entries: new Map() };
  const chosen = wanted.map((platform) => {
    const descriptors = offers.map(({ descriptor }) => descriptor);
    const best = selectPlatform(descriptors, platform);
    const found = offers.find(({ descriptor }) => descriptor === best);
    if (found) return found;
    const offered = descriptors.flatMap((descriptor) => descriptor.platform ?? []);
    throw noPlatformError(label, platform, offered);
  });
  const [only] = chosen;
  if (wanted.length > 1 || !only) return { target: root, entries: entriesOf(chosen) };
  // An index for a platform (of the variants of one architecture) is chosen from again.
  return isIndexType(only.descriptor.mediaType)
    ? choose(only.descriptor, options)
    : { target: only.descriptor, entries: new Map() };
}

/** The entries that are for a platform; those of indexes in the index only where the index itself has not enough. */
async function offersOf(root: Descriptor, options: ChoiceOptions): Promise<readonly Offer[]> {
  const { manifests } = await options.read(root);
  const direct = manifests.flatMap((descriptor) =>
    descriptor.platform && !isAttestation(descriptor) ? [{ descriptor, path: [root] }] : [],
  );
  const isEnough = options.wanted.every((platform) => selectPlatform(manifests, platform));
  return isEnough ? direct : [...direct, ...(await nestedOffers([root], options, new Set()))];
}

async function nestedOffers(
  path: readonly Descriptor[],
  options: ChoiceOptions,
  seen: Set<string>,
): Promise<readonly Offer[]> {
  const last = path.at(-1);
  if (!last || path.length > mostDepth) {
    throw new RegistryError('BAD_RESPONSE', `Cannot read an index: nested more than ${mostDepth} deep`);
  }
  const { manifests } = await options.read(last);
  const nested = manifests.filter(({ platform, mediaType, digest }) => {
    const isNew = platform === undefined && isIndexType(mediaType) && !seen.has(digest);
    if (isNew) seen.add(digest);
    return isNew;
  });
  const found = await Promise.all(
    nested.map(async (descriptor) => {
      const inner = await options.read(descriptor);
      const below = [...path, descriptor];
      const offers = inner.manifests.flatMap((each) =>
        each.platform && !isAttestation(each) ? [{ descriptor: each, path: below }] : [],
      );
      return [...offers, ...(await nestedOffers(below, options, seen))];
    }),
  );
  return found.flat();
}

/** Of each index on the way to a chosen image the entries on that way. */
function entriesOf(chosen: readonly Offer[]): ReadonlyMap<string, readonly Descriptor[]> {
  const entries = new Map<string, Set<Descriptor>>();
  for (const { path, descriptor } of chosen) {
    const way = [...path, descriptor];
    for (const [level, { digest }] of path.entries()) {
      const next = way[level + 1];
      const known = entries.get(digest) ?? new Set();
      if (next) entries.set(digest, known.add(next));
    }
  }
  return new Map([...entries].map(([digest, set]) => [digest, [...set]]));
}
