import { abortError } from '../abort.ts';
import { isError } from '../errors.ts';
import { algorithmOf, type Digest, isDigest } from '../oci/digest.ts';
import { isNonDistributable } from '../oci/manifest.ts';
import type { Blobs } from './blobs.ts';
import type { LayoutIndex } from './entries.ts';
import { checkWhole, type LayoutParts } from './index-file.ts';
import { foundBy, systemCode } from './store-error.ts';
import { hashFile } from './verified.ts';
import { type Reached, walk } from './walk.ts';

/** A content that is not as it should be. */
export interface WrongContent {
  /**
   * - `bytes`: the bytes have another digest. The next pull replaces the file.
   * - `file`: it is not a file, or the disk cannot read it. Remove it; then the next pull brings it again.
   * - `document`: the digest is right, but the document, or a descriptor in it, cannot be used. Every pull brings it again
   *   as it is: remove its name. An entry of `index.json` that cannot be read: correct or remove it.
   * - `size`: a document, or `index.json`, gives a size that its content does not have. In `index.json` the next pull or
   *   `tag` of that content fixes it; a document stays as it is.
   */
  readonly kind: 'bytes' | 'file' | 'document' | 'size';
  /** Undefined if it is `index.json`. */
  readonly digest: Digest | undefined;
  /** Absolute path of its file. */
  readonly path: string;
  /**
   * The digest of what is there, or what is wrong with the document: `"sha256:…" has 90 bytes where sha256:… says 95`,
   * if a manifest, an index or `index.json` gives a size that a content with the right digest does not have.
   */
  readonly found: string;
}

/** A content that something names and that is not here. */
export interface MissingContent {
  readonly digest: Digest;
  readonly size: number;
  /** Digest of the manifest or index that names it, or `index.json`. */
  readonly neededBy: string;
}

/** What `verify` found. The layout is sound if `wrong` and `missing` are empty. */
export interface LayoutReport {
  /** Contents that were read, and their bytes. */
  readonly checked: number;
  readonly bytes: number;
  readonly wrong: readonly WrongContent[];
  readonly missing: readonly MissingContent[];
  /** Images of an index of which another image is complete here, and layers that may not be distributed. */
  readonly notCopied: readonly MissingContent[];
  /** Files that are not contents: left by other programs in `blobs`. */
  readonly strangers: readonly string[];
  /** Downloads that broke off, or are under way. */
  readonly partials: number;
}

/** How to verify. */
export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after each content, with the sums so far. */
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
}

/** How far a `verify` is. */
export interface VerifyProgress {
  readonly digest: Digest;
  readonly checked: number;
  readonly contents: number;
  readonly bytes: number;
}

export async function verifyLayout(layout: LayoutParts, { signal, onProgress }: VerifyOptions): Promise<LayoutReport> {
  const { locks, blobs, index } = layout;
  const directory = await checkWhole(layout, 'verify');
  const entries = await index.read();
  const wrong: WrongContent[] = [];
  /** Bytes of each content whose digest is right. */
  const sizes = new Map<string, number>();
  const { digests, strangers } = await blobs.list();
  /** What is wrong if one file cannot be read, although the file system as a whole works. */
  const unreadable = (path: string) => async (error: unknown) => {
    if (systemCode(isError(error) ? error.cause : undefined) === 'EIO')
      return { digest: 'the disk failed to read it (EIO)', size: 0 };
    const facts = await locks.files.examine(path);
    if (!facts || facts.type === 'file' || facts.type === 'nothing') throw error;
    return { digest: `a ${facts.type}, where a file is expected`, size: 0 };
  };
  let [checked, bytes] = [0, 0];
  for (const digest of digests) {
    if (signal?.aborted) throw abortError(signal.reason);
    const path = blobs.pathOf(digest);
    const hashed = await hashFile(locks.files, path, { algorithm: algorithmOf(digest), signal }).catch(
      unreadable(path),
    );
    // Removed by somebody since it was listed.
    if (!hashed) continue;
    if (hashed.digest === digest) sizes.set(digest, hashed.size);
    else wrong.push({ kind: isDigest(hashed.digest) ? 'bytes' : 'file', digest, path, found: hashed.digest });
    checked += 1;
    bytes += hashed.size;
    onProgress?.({ digest, checked, contents: digests.length, bytes });
  }
  const isWrong = new Set(wrong.map(({ digest }) => `${digest}`));
  const reached: Reached[] = [];
  const indexPath = locks.join(directory, 'index.json');
  const onInvalid = (digest: Digest | undefined, error: Error): void => {
    const path = digest === undefined ? indexPath : blobs.pathOf(digest);
    if (!isWrong.has(`${digest}`)) wrong.push({ kind: 'document', digest, path, found: foundBy(error) });
  };
  for await (const one of walk(entries, blobs, { signal, onInvalid })) reached.push(one);
  wrong.push(...wrongSizes({ index: entries, path: indexPath, reached, sizes }, blobs));
  const partials = (await locks.files.list(locks.folder))?.filter((name) => /^sha\d+-/.test(name)).length ?? 0;
  return { checked, bytes, wrong, ...absences(reached), strangers, partials };
}

/** What was read of a layout. */
interface LayoutSizes {
  readonly index: LayoutIndex;
  /** Path of `index.json`. */
  readonly path: string;
  readonly reached: readonly Reached[];
  /** Bytes of each content whose digest is right. */
  readonly sizes: ReadonlyMap<string, number>;
}

/** Documents, and `index.json`, that give a content another size than it has, so that nobody who believes them can read it. */
function wrongSizes({ index, path, reached, sizes }: LayoutSizes, { pathOf }: Blobs): WrongContent[] {
  const wrong = new Map<string, WrongContent>();
  const compare = (
    said: { readonly digest: string; readonly size: number },
    by: Pick<WrongContent, 'digest' | 'path'>,
  ): void => {
    const has = sizes.get(said.digest);
    if (has === undefined || has === said.size) return;
    const found = `"${said.digest}" has ${has} bytes where ${by.digest ?? 'index.json'} says ${said.size}`;
    wrong.set(`${by.path} ${found}`, { kind: 'size', ...by, found });
  };
  for (const { descriptor } of index.entries) if (descriptor) compare(descriptor, { digest: undefined, path });
  for (const { descriptor, children, bytes } of reached) {
    const { digest } = descriptor;
    // A document whose own bytes are wrong is not believed; nor is what only looks like a descriptor, in a document of an
    // unknown type.
    if (!bytes || !sizes.has(digest)) continue;
    for (const child of children) compare(child.descriptor, { digest, path: pathOf(digest) });
  }
  return [...wrong.values()];
}

/** What is not here, and whether it has to be. */
export function absences(reached: readonly Reached[]): Pick<LayoutReport, 'missing' | 'notCopied'> {
  const byDigest = new Map<string, Reached>(reached.map((one) => [one.descriptor.digest, one]));
  const known = new Map<string, boolean>();
  const completeness = (digest: string): boolean => {
    const answer = known.get(digest);
    if (answer !== undefined) return answer;
    // Documents that were tampered with may name each other.
    known.set(digest, false);
    const complete = hasParts(digest);
    known.set(digest, complete);
    return complete;
  };
  const hasParts = (digest: string): boolean => {
    const one = byDigest.get(digest);
    if (!one?.isHere) return false;
    const parts = one.children.filter(({ as }) => as !== 'subject');
    if (!one.isIndex)
      return parts.every(
        ({ descriptor }) => completeness(descriptor.digest) || isNonDistributable(descriptor.mediaType),
      );
    return parts.length === 0 || parts.some(({ descriptor }) => completeness(descriptor.digest));
  };
  const missing: MissingContent[] = [];
  const notCopied: MissingContent[] = [];
  for (const { descriptor, neededBy, as, isHere } of reached) {
    if (isHere || as === 'subject') continue;
    const { digest, size } = descriptor;
    const isSparse = as === 'entry' && neededBy !== undefined && completeness(neededBy);
    const list = isSparse || isNonDistributable(descriptor.mediaType) ? notCopied : missing;
    list.push({ digest, size, neededBy: neededBy ?? 'index.json' });
  }
  return { missing, notCopied };
}
