import { cannot } from '../errors.ts';
import { findImage, findImages, noPlatformError, type Offer, platformOf } from '../oci/choose-image.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { bareMediaType, kindOf, type Manifest, mediaTypes } from '../oci/manifest.ts';
import { machinePlatform, matchesPlatform, type Platform, platformIn } from '../oci/platform.ts';
import { readJson } from '../text/json.ts';
import { type CopyState, reportState } from './copy-state.ts';
import { type Documents, readSmall } from './documents.ts';
import type { PlatformChoice } from './options.ts';
import { contentsOf, noteSizes } from './walk.ts';

/** What to copy of an index. */
export interface Choice {
  /** What the name in the store will stand for. */
  readonly target: Descriptor;
  /** The entries to copy, by the digest of their index; an index that is missing here is copied with all entries. */
  readonly entries: ReadonlyMap<string, readonly Descriptor[]>;
}

export interface ChoiceOptions {
  /** The reference, for messages. */
  readonly label: string;
  readonly wanted: 'all' | readonly Platform[];
  /** The platforms were requested; otherwise they are a guess. */
  readonly isRequested: boolean;
  readonly state: CopyState;
  readonly documents: Documents;
}

/** The platforms to copy, or all; `INVALID_REFERENCE` for what is not a platform. */
export function wantedPlatforms(choice: PlatformChoice = machinePlatform()): 'all' | readonly Platform[] {
  if (choice === 'all') return choice;
  const list: readonly unknown[] = Array.isArray(choice) ? choice : [choice];
  if (list.length === 0) throw cannot('INVALID_REFERENCE', 'choose a platform', 'the list is empty');
  return list.map(platformOf);
}

const wholeOf = (target: Descriptor): Choice => ({ target, entries: new Map() });

/**
 * The images of an index that run best on the platforms wanted. One platform: only that image, also out of an index in
 * the index. Several: the index as it is, with those images. `NOT_FOUND` if a platform has no image; the error lists the
 * platforms that have one.
 *
 * An index without any entry for a platform (of charts, of signatures) is copied whole, unless a platform was requested:
 * then its only image is taken, and it is `NOT_FOUND` if there are more or none. If a platform was requested, an image
 * that is not listed under a platform is checked by its config.
 */
export async function choose(root: Descriptor, options: ChoiceOptions): Promise<Choice> {
  const { label, wanted, isRequested, documents } = options;
  if (kindOf(root.mediaType) !== 'manifests' || wanted === 'all') return wholeOf(root);
  const { document } = await documents.read(root);
  if (!('manifests' in document)) {
    if (isRequested) await checkImage(root, wanted, options);
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
  if (image || !isRequested) return wholeOf(image ?? index);
  const [only] = unnamed;
  if (!only || unnamed.some(({ digest }) => digest !== only.digest)) {
    // An index that is listed under the platform is what was requested, whatever is in it.
    if (index.digest !== root.digest) return wholeOf(index);
    throw noPlatformError(label, platform, []);
  }
  await checkImage(only, wanted, options);
  return wholeOf(isSeveral ? root : only);
}

/** Refuses an image whose config has another platform than those requested. */
async function checkImage(
  descriptor: Descriptor,
  wanted: readonly Platform[],
  { label, state, documents }: ChoiceOptions,
): Promise<void> {
  const { document } = await documents.read(descriptor);
  if ('manifests' in document || !isImage(document)) return;
  noteSizes(state, descriptor, contentsOf(document));
  const { config } = document;
  const { bytes, stored, requested } = await readSmall(config, state, descriptor.digest);
  checkConfig(bytes, { config, label, wanted });
  if (requested > 0) reportState(state, config, 'begun');
  if (stored !== 'yes') state.held.set(config.digest, bytes);
  state.tally.copied += requested;
}

const configTypes: ReadonlySet<string> = new Set([mediaTypes.ociConfig, mediaTypes.dockerConfig]);

/** Whether a manifest is of an image, whose config says what it runs on. */
const isImage = ({ config }: Manifest): boolean => configTypes.has(bareMediaType(config.mediaType));

/** Refuses an image whose config has another platform than those wanted, as far as it says; one that has none is taken. */
function checkConfig(
  bytes: Uint8Array,
  {
    config,
    label,
    wanted,
  }: { readonly config: Descriptor; readonly label: string; readonly wanted: readonly Platform[] },
): void {
  const read = readJson(bytes);
  if ('found' in read) throw cannot('BAD_RESPONSE', `read config "${config.digest}"`, read.found);
  const stated = platformIn(read.value);
  if (!stated || wanted.some((one) => matchesPlatform(one, stated))) return;
  const { os, architecture, variant, 'os.version': version, 'os.features': features } = stated;
  const platform = { os, architecture, variant, 'os.version': version, 'os.features': features };
  const [first = platform] = wanted;
  throw noPlatformError(label, first, [platform], { isImage: true });
}

/** For each index on the way to a chosen image, its entries on that way. */
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
