import type { Descriptor } from '../../oci/descriptor.ts';
import { isDigest } from '../../oci/digest.ts';
import { mediaTypes } from '../../oci/manifest.ts';
import type { CallOptions, Source } from '../../source.ts';
import { findDigest, findName, plainDescriptor } from '../entries.ts';
import type { Files } from '../files.ts';
import type { LayoutParts } from '../index-file.ts';

/** A small content as a whole. Its bytes are the store's: they must not be changed. */
export interface SmallContent {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/**
 * What a reference names, with its bytes, if a store can give it at once; undefined if not: then `resolve` and `fetch` give it, or
 * say what is wrong. Of a blob the descriptor has any type.
 */
type GiveSmall = (
  reference: string,
  options: Pick<CallOptions, 'links' | 'kind'>,
) => SmallContent | undefined | Promise<SmallContent | undefined>;

/**
 * What lets a server have the small contents of exactly this store without a body and its bookkeeping; made when it is first needed.
 * By the store itself: whoever wraps it, and perhaps changes what it gives, makes another object.
 */
export const smallOffers = new WeakMap<Source, () => GiveSmall | undefined>();
const givers = new WeakMap<Source, GiveSmall>();

export function smallOf(source: Source): GiveSmall | undefined {
  const give = givers.get(source) ?? smallOffers.get(source)?.();
  if (give) givers.set(source, give);
  return give;
}

/** Most bytes of a small content of a layout, and of all that are kept in memory. */
const mostSmallBytes = 65_536;
const mostKeptBytes = 16_777_216;

/** A content, and files that were as they are now when it was read. */
interface KeptContent {
  readonly content: SmallContent;
  readonly versions: readonly (readonly [path: string, version: string])[];
}

/** Of all layouts, by what was wanted; those that were used last come last. */
const kept = new Map<string, KeptContent>();
let size = 0;

function drop(key: string): void {
  size -= kept.get(key)?.content.bytes.length ?? 0;
  kept.delete(key);
}

/** The content that is kept under a key, if its files are still what they were. */
function keptContent({ versionOf }: Files, key: string): SmallContent | undefined {
  const found = kept.get(key);
  if (!found) return undefined;
  drop(key);
  if (found.versions.some(([path, version]) => versionOf(path) !== version)) return undefined;
  keep(key, found);
  return found.content;
}

/** Keeps a content under a key, in place of those that were not used for the longest time. */
function keep(key: string, found: KeptContent): void {
  drop(key);
  kept.set(key, found);
  size += found.content.bytes.length;
  for (const [oldest] of kept) {
    if (size <= mostKeptBytes) break;
    drop(oldest);
  }
}

/** What is needed of a layout. */
interface SmallParts extends LayoutParts {
  readonly directory: string;
  /** Whether what is found by its digest has to be noted. */
  readonly isNoting: () => boolean;
}

/**
 * The small contents of a layout. What was read is kept in memory, and given again as long as the system says that its file, and
 * for a manifest `index.json`, are what they were.
 */
export function createSmall({ directory, locks: { files, join }, blobs, index, isNoting }: SmallParts): GiveSmall {
  const indexPath = join(directory, 'index.json');

  const readBlob = async (digest: string, links: boolean): Promise<KeptContent | undefined> => {
    if (!isDigest(digest)) return undefined;
    const path = blobs.pathOf(digest);
    // It costs less than to open what is too large.
    const facts = await files.facts(path);
    if (!facts || facts.size > mostSmallBytes) return undefined;
    const file = await blobs.open(digest, links);
    try {
      if (file?.found.version !== facts.version) return undefined;
      const bytes = new Uint8Array(facts.size);
      if ((await file.read(bytes, 0)) < bytes.length) return undefined;
      const descriptor = { mediaType: mediaTypes.octets, digest, size: bytes.length };
      return { content: { descriptor, bytes }, versions: [[path, facts.version]] };
    } finally {
      await file?.close();
    }
  };
  const readManifest = async (reference: string, links: boolean): Promise<KeptContent | undefined> => {
    // Before it is read, as it may change meanwhile.
    const version = files.versionOf(indexPath);
    if (version === undefined) return undefined;
    const now = await index.read(links);
    const described = (isDigest(reference) ? findDigest(now, reference) : findName(now, reference))?.descriptor;
    const found = await readBlob(described?.digest ?? reference, links);
    if (!found) return undefined;
    const { content, versions } = found;
    const { digest, size } = content.descriptor;
    const descriptor = described
      ? { ...plainDescriptor(described), size }
      : { mediaType: await blobs.typeOf(digest, { size }, links), digest, size };
    return { content: { ...content, descriptor }, versions: [...versions, [indexPath, version]] };
  };

  return (reference, { links = true, kind }) => {
    if (isNoting()) return undefined;
    const key = `${directory}\0${kind} ${links}\0${reference}`;
    const known = keptContent(files, key);
    if (known) return known;
    const reading = kind === 'blobs' ? readBlob(reference, links) : readManifest(reference, links);
    return reading.then((found) => {
      if (found) keep(key, found);
      return found?.content;
    });
  };
}
