import { findImage, findImages, noPlatformError, type Offer } from '../oci/choose-image.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { kindOf } from '../oci/manifest.ts';
import type { Platform } from '../oci/platform.ts';

import { type Documents, readSmall } from './documents.ts';
import { checkConfig, isImage } from './platforms.ts';
import { contentsOf, noteSizes } from './sizes.ts';
import { tell, type Work } from './work.ts';

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
  readonly wanted: 'all' | readonly Platform[];
  /** Somebody named the platforms; else they are a guess. */
  readonly isAsked: boolean;
  readonly work: Work;
  readonly documents: Documents;
}

const wholeOf = (target: Descriptor): Choice => ({ target, entries: new Map() });

/**
 * The images of an index that run best on the platforms wanted. One platform: that image alone, also out of an index in
 * the index. Several: the index as it is, with those images. `NOT_FOUND` where a platform has no image, listing those
 * that there are.
 *
 * An index of which no entry is for a platform (of charts, of signatures) is copied whole, unless a platform was asked for:
 * then the only image of it is taken, and where there are more or none, it is `NOT_FOUND`. An image that does not stand
 * under a platform is checked by its config where one was asked for.
 */
export async function choose(root: Descriptor, options: ChoiceOptions): Promise<Choice> {
  const { label, wanted, isAsked, documents } = options;
  if (kindOf(root.mediaType) !== 'manifests' || wanted === 'all') return wholeOf(root);
  const { document } = await documents.read(root);
  if (!('manifests' in document)) {
    if (isAsked) await checkImage(root, wanted, options);
    return wholeOf(root);
  }
  const read = async (descriptor: Descriptor) => {
    const found = await documents.read(descriptor);
    return 'manifests' in found.document ? found.document : document;
  };
  const isSeveral = wanted.length > 1;
  const images = isSeveral ? await findImages(root, wanted, { label, read }) : [];
  const [platform] = wanted;
  if (!platform || images.length > 0) return { target: root, entries: entriesOf(images) };
  const { image, index, unnamed } = await findImage(root, platform, { label, read });
  if (image || !isAsked) return wholeOf(image ?? index);
  const [only] = unnamed;
  if (!only || unnamed.some(({ digest }) => digest !== only.digest)) {
    // An index that stands under the platform is what was asked for, whatever is in it.
    if (index.digest !== root.digest) return wholeOf(index);
    throw noPlatformError(label, platform, []);
  }
  await checkImage(only, wanted, options);
  return wholeOf(isSeveral ? root : only);
}

/** Refuses an image whose config says that it runs on none of the platforms that were asked for. */
async function checkImage(
  descriptor: Descriptor,
  wanted: readonly Platform[],
  { label, work, documents }: ChoiceOptions,
): Promise<void> {
  const { document } = await documents.read(descriptor);
  if ('manifests' in document || !isImage(document)) return;
  noteSizes(work, descriptor, contentsOf(document));
  const { config } = document;
  const { bytes, stored, asked } = await readSmall(config, work);
  checkConfig(bytes, { config, label, wanted });
  if (asked > 0) tell(work, config, 'begun');
  if (stored !== 'yes') work.held.set(config.digest, bytes);
  work.tally.copied += asked;
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
