import { z } from 'zod';
import { cannot, RegistryError } from '../errors.ts';
import { quote } from '../text/quote.ts';
import { type Descriptor, isReadable } from './descriptor.ts';
import { type Index, isIndexType, isManifestType } from './manifest.ts';
import {
  compareFits,
  fitOf,
  formatPlatform,
  matchesPlatform,
  normalizePlatform,
  type Platform,
  parsePlatform,
} from './platform.ts';
import { orAbsent } from './stated.ts';

/** Deepest nesting of indexes. */
export const mostDepth = 16;

/** How images are looked for in an index. */
export interface ImageSearch {
  /** How the index is called in messages. */
  readonly label: string;
  /** The index that a descriptor names. A search asks once for each digest, those on one level at the same time. */
  readonly read: (descriptor: Descriptor) => Promise<Index>;
}

/** An entry of an index, and the indexes that lead to it, the outermost first. */
export interface Offer {
  readonly descriptor: Descriptor;
  readonly path: readonly Descriptor[];
}

/** Where the search for one image ended. */
export interface FoundImage {
  /** Undefined if nothing in `index` is for a platform. */
  readonly image?: Descriptor;
  /** The one that was looked for an image in: the root, or an index that was chosen out of it. */
  readonly index: Descriptor;
  /** Images that do not say what they are for. */
  readonly unnamed: readonly Descriptor[];
}

/**
 * For each platform what runs best there, of the entries of an index that are for a platform; those of indexes in the index
 * count only if the index itself has not enough. Empty if nothing is for a platform. `NOT_FOUND` if one of the
 * platforms has none, listing those that there are; `BAD_RESPONSE` for indexes nested more than 16 deep.
 */
export async function findImages(
  root: Descriptor,
  wanted: readonly Platform[],
  { label, read }: ImageSearch,
): Promise<readonly Offer[]> {
  const { named } = await offersOf([root], wanted, once(read));
  return named.length === 0 ? [] : wanted.map((platform) => bestOf(named, platform, label));
}

/** `findImages` for one platform. An index for it (of the variants of one architecture) is chosen from again. */
export async function findImage(root: Descriptor, wanted: Platform, search: ImageSearch): Promise<FoundImage> {
  const read = once(search.read);
  let index = root;
  let path: readonly Descriptor[] = [root];
  for (;;) {
    const { named, unnamed } = await offersOf(path, [wanted], read);
    if (named.length === 0) return { index, unnamed };
    const best = bestOf(named, wanted, search.label);
    if (!isIndexType(best.descriptor.mediaType)) return { image: best.descriptor, index, unnamed };
    index = best.descriptor;
    path = [...best.path, index];
  }
}

/** The image of an index for one platform, or the only one, if that does not name its platform. `NOT_FOUND`. */
export async function chooseImage(root: Descriptor, wanted: Platform, search: ImageSearch): Promise<Descriptor> {
  const { image, unnamed } = await findImage(root, wanted, search);
  const [only] = unnamed;
  const found = image ?? (unnamed.every(({ digest }) => digest === only?.digest) ? only : undefined);
  if (found) return found;
  throw noPlatformError(search.label, wanted, []);
}

type ReadIndex = ImageSearch['read'];

function once(read: ReadIndex): ReadIndex {
  const known = new Map<string, Promise<Index>>();
  return (descriptor) => {
    const reading = known.get(descriptor.digest) ?? read(descriptor);
    known.set(descriptor.digest, reading);
    return reading;
  };
}

function bestOf(offers: readonly Offer[], wanted: Platform, label: string): Offer {
  const descriptors = offers.map(({ descriptor }) => descriptor);
  const best = selectPlatform(descriptors, wanted);
  const found = offers.find(({ descriptor }) => descriptor === best);
  if (found) return found;
  const offered = descriptors.flatMap(({ platform }) => platform ?? []);
  throw noPlatformError(label, wanted, offered);
}

/** What an index has, or several: entries for a platform, and images without one. */
interface Offers {
  readonly named: readonly Offer[];
  readonly unnamed: readonly Descriptor[];
}

/** What one index lists itself. */
interface IndexListing extends Offers {
  readonly indexes: readonly Descriptor[];
}

/** What the last index of a path has. */
async function offersOf(path: readonly Descriptor[], wanted: readonly Platform[], read: ReadIndex): Promise<Offers> {
  const listed = await listedIn(path, read);
  const descriptors = listed.named.map(({ descriptor }) => descriptor);
  const isEnough = wanted.every((platform) => selectPlatform(descriptors, platform));
  return isEnough ? listed : withNested(path, listed, { read, seen: new Set(path.map(({ digest }) => digest)) });
}

async function withNested(
  path: readonly Descriptor[],
  listed: IndexListing,
  reading: { readonly read: ReadIndex; readonly seen: Set<string> },
): Promise<Offers> {
  const { read, seen } = reading;
  // Digests allow no circle; one that somebody made is not gone round.
  const fresh = listed.indexes.filter(({ digest }) => !seen.has(digest) && seen.add(digest));
  const nested = await Promise.all(
    fresh.map(async (index) => {
      const below = [...path, index];
      return withNested(below, await listedIn(below, read), reading);
    }),
  );
  return {
    named: [listed, ...nested].flatMap(({ named }) => named),
    unnamed: [listed, ...nested].flatMap(({ unnamed }) => unnamed),
  };
}

async function listedIn(path: readonly Descriptor[], read: ReadIndex): Promise<IndexListing> {
  const last = path.at(-1);
  if (!last || path.length > mostDepth) {
    throw cannot('BAD_RESPONSE', 'read an index', `nested more than ${mostDepth} deep`);
  }
  const { manifests } = await read(last);
  const entries = manifests.filter((entry) => !isAttestation(entry));
  const others = entries.filter((entry) => entry.platform === undefined && isReadable(entry));
  return {
    named: entries.flatMap((descriptor) => (descriptor.platform ? [{ descriptor, path }] : [])),
    unnamed: others.filter(({ mediaType }) => isManifestType(mediaType)),
    indexes: others.filter(({ mediaType }) => isIndexType(mediaType)),
  };
}

/**
 * Whether an entry of an index describes how another one was built, and is not an image itself.
 * https://docs.docker.com/build/metadata/attestations/attestation-storage/
 */
export const isAttestation = ({ annotations, platform }: Descriptor): boolean =>
  annotations?.['vnd.docker.reference.type'] === 'attestation-manifest' ||
  (platform?.os === 'unknown' && platform.architecture === 'unknown');

/**
 * The entry of an index that runs best on a platform, the first of those that run equally well; undefined if none
 * does. Attestations and entries without a platform are never chosen.
 */
export function selectPlatform(manifests: readonly Descriptor[], wanted: Platform): Descriptor | undefined {
  const fits = manifests.flatMap((descriptor) => {
    if (!descriptor.platform || isAttestation(descriptor)) return [];
    const fit = fitOf(wanted, descriptor.platform);
    return fit ? [{ descriptor, fit }] : [];
  });
  return fits.sort((a, b) => compareFits(a.fit, b.fit))[0]?.descriptor;
}

/** A platform that a caller gives; fields that are not known stay. */
const platformSchema = z.looseObject(
  {
    os: z.string('not a string').min(1, 'empty'),
    architecture: z.string('not a string').min(1, 'empty'),
    variant: orAbsent(z.string('not a string')),
    'os.version': orAbsent(z.string('not a string')),
    'os.features': orAbsent(z.array(z.string('not a string'), 'not a list')),
  },
  'not an object',
);

/** A platform as a caller gives it, text or record, normalized; `INVALID_REFERENCE` for anything else. */
export function platformOf(given: unknown): Platform {
  if (typeof given === 'string') return parsePlatform(given);
  const parsed = platformSchema.safeParse(given);
  if (parsed.success) return normalizePlatform(parsed.data);
  throw cannot('INVALID_REFERENCE', `use platform ${quote(given)}`, 'no os and architecture', {
    reason: 'invalid-platform',
  });
}

/** Most platforms that a message lists. */
const mostListed = 20;

/** Why nothing was chosen: `NOT_FOUND`, naming the platforms that there are, and what would do. */
export function noPlatformError(
  name: string,
  wanted: Platform,
  offered: readonly Platform[],
  { isImage = false }: { readonly isImage?: boolean } = {},
): RegistryError {
  const platforms = offered.map(normalizePlatform);
  const texts = [...new Set(platforms.map(formatPlatform))].sort();
  const more = texts.length > mostListed ? ` and ${texts.length - mostListed} more` : '';
  const listed = texts.slice(0, mostListed).join(', ') + more;
  const there = isImage ? `it is one image, for ${listed}` : `there ${texts.length === 1 ? 'is' : 'are'} ${listed}`;
  const linux = { ...wanted, os: 'linux', 'os.version': undefined, 'os.features': undefined };
  const isForLinux = wanted.os !== 'linux' && platforms.some((platform) => matchesPlatform(linux, platform));
  const attempted = `choose an image of ${quote(name)} for ${formatPlatform(wanted)}`;
  const found = texts.length === 0 ? 'there is none' : there;
  const advice = isForLinux ? `; platform "linux" would do` : texts.length > 0 ? '; choose one with platform' : '';
  // A program that has other advice shows both parts without this one.
  return new RegistryError('NOT_FOUND', `Cannot ${attempted}: ${found}${advice}`, {
    attempted,
    found,
    reason: 'platform',
    reference: name,
    value: formatPlatform(wanted),
    platforms: texts,
    ...(isForLinux && { suggestion: 'linux' }),
  });
}
