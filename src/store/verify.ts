import { abortError } from '../deadline.ts';
import { algorithmOf, type Digest } from '../oci/digest.ts';
import { hashFile } from './file-io.ts';
import type { LayoutReport, MissingContent, VerifyOptions, WrongContent } from './report.ts';
import { wrongSizes } from './sizes.ts';
import { foundBy, systemCode } from './store-error.ts';
import { type Reached, walk } from './walk.ts';
import { checkWhole, type Layout } from './whole.ts';

export type { LayoutReport, MissingContent, VerifyOptions, VerifyProgress, WrongContent } from './report.ts';

export async function verifyLayout(layout: Layout, { signal, onProgress }: VerifyOptions): Promise<LayoutReport> {
  const { holding, blobs, index } = layout;
  const directory = await checkWhole(layout, 'verify');
  const entries = await index.read();
  const wrong: WrongContent[] = [];
  const sizes = new Map<string, number>();
  const { digests, strangers } = await blobs.list();
  let [checked, bytes] = [0, 0];
  for (const digest of digests) {
    if (signal?.aborted) throw abortError(signal.reason);
    const path = blobs.pathOf(digest);
    const hashed = await hashFile(holding.files, path, { algorithm: algorithmOf(digest), signal }).catch(unreadable);
    // Removed by somebody since it was listed.
    if (!hashed) continue;
    if (hashed.digest === digest) sizes.set(digest, hashed.size);
    else wrong.push({ digest, path, found: hashed.digest });
    checked += 1;
    bytes += hashed.size;
    onProgress?.({ digest, checked, contents: digests.length, bytes });
  }
  const isWrong = new Set(wrong.map(({ digest }) => `${digest}`));
  const reached: Reached[] = [];
  const onFault = (digest: string, error: Error): void => {
    if (!isWrong.has(digest))
      wrong.push({ digest: digest as Digest, path: blobs.pathOf(digest), found: foundBy(error) });
  };
  for await (const one of walk(entries, blobs, { signal, onFault })) reached.push(one);
  wrong.push(...wrongSizes({ index: entries, path: holding.join(directory, 'index.json'), reached, sizes }, blobs));
  const partials = (await holding.files.list(holding.folder))?.filter((name) => /^sha\d+-/.test(name)).length ?? 0;
  return { checked, bytes, wrong, ...absences(reached), strangers, partials };
}

/** What is wrong where no file can be read, though the file system as a whole does its part. */
function unreadable(error: unknown): { readonly digest: string; readonly size: number } {
  const code = systemCode(error instanceof Error ? error.cause : undefined);
  if (code === 'EISDIR') return { digest: 'a directory, where a file is expected', size: 0 };
  if (code === 'EIO') return { digest: 'the disk failed to read it (EIO)', size: 0 };
  throw error;
}

/** What is not here, and whether it has to be. */
export function absences(reached: readonly Reached[]): Pick<LayoutReport, 'missing' | 'notCopied'> {
  const byDigest = new Map<string, Reached>(reached.map((one) => [one.descriptor.digest, one]));
  const known = new Map<string, boolean>();
  const isComplete = (digest: string): boolean => {
    const answer = known.get(digest);
    if (answer !== undefined) return answer;
    // Documents that were tampered with may name each other.
    known.set(digest, false);
    known.set(digest, look(digest));
    return known.get(digest) ?? false;
  };
  const look = (digest: string): boolean => {
    const one = byDigest.get(digest);
    if (!one?.isHere) return false;
    const parts = one.children.filter(({ as }) => as !== 'subject');
    if (!one.isIndex) return parts.every(({ descriptor }) => isComplete(descriptor.digest) || isLeftOut(descriptor));
    return parts.length === 0 || parts.some(({ descriptor }) => isComplete(descriptor.digest));
  };
  const missing: MissingContent[] = [];
  const notCopied: MissingContent[] = [];
  for (const { descriptor, neededBy, as, isHere } of reached) {
    if (isHere || as === 'subject') continue;
    const { digest, size } = descriptor;
    const isSparse = as === 'entry' && neededBy !== undefined && isComplete(neededBy);
    const list = isSparse || isLeftOut(descriptor) ? notCopied : missing;
    list.push({ digest, size, neededBy: neededBy ?? 'index.json' });
  }
  return { missing, notCopied };
}

/** Layers whose licence forbids to hand them on. */
const isLeftOut = ({ mediaType }: { readonly mediaType: string }): boolean =>
  /\.(?:foreign|nondistributable)\./.test(mediaType);
