import type { Descriptor } from '../oci/descriptor.ts';
import { findImage, findImages, type ImageSearch, type Offer } from '../oci/find-image.ts';
import type { Platform } from '../oci/platform.ts';

export { mostDepth } from '../oci/find-image.ts';

/** What of an index is to be copied. */
export interface Choice {
  /** What the store's name stands for. */
  readonly target: Descriptor;
  /** The entries to copy, by the digest of their index; all of an index that is not here. */
  readonly entries: ReadonlyMap<string, readonly Descriptor[]>;
}

export interface ChoiceOptions extends ImageSearch {
  readonly wanted: readonly Platform[];
}

/**
 * The images of an index that run best on the platforms wanted. One platform: that image alone, also out of an index in
 * the index. Several: the index as it is, with those images. An index of which no entry is for a platform (of charts, of
 * signatures) is copied whole. `NOT_FOUND` where a platform has no image, listing those that there are.
 */
export async function choose(root: Descriptor, { wanted, ...search }: ChoiceOptions): Promise<Choice> {
  const [platform, ...more] = wanted;
  if (!platform || more.length > 0) {
    return { target: root, entries: entriesOf(await findImages(root, wanted, search)) };
  }
  const { index, image = index } = await findImage(root, platform, search);
  return { target: image, entries: new Map() };
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
