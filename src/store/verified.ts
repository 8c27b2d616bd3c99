import { remember } from '../bounded-map.ts';
import { algorithmOf, createHasher, type Digest } from '../oci/digest.ts';
import { hashInto, type WriterOptions } from './file-io.ts';
import type { FileFacts, Files } from './files.ts';

/** The digest of a file as it was when its bytes were hashed. */
interface HashedFile {
  readonly version: string;
  readonly digest: Digest;
}

/** Most files that are remembered. */
const mostFiles = 10_000;

/**
 * Files whose bytes this process hashed when it wrote or read them, by path. Only in memory: a record on the disk could be
 * prepared by whoever prepared a wrong file.
 */
const hashedFiles = new Map<string, HashedFile>();

/** Remembers a file that was just written, and its bytes hashed on the way, by what its writer's handle says of it. */
export function rememberWritten(path: string, { version }: FileFacts, digest: Digest): void {
  remember(hashedFiles, path, { version, digest }, mostFiles);
}

/** Whether a file has a digest. Its bytes are read, unless it is as it was when this process hashed it; with `again` always. */
export async function hasDigest(
  files: Files,
  path: string,
  { version }: FileFacts,
  {
    digest,
    again,
    signal,
  }: { readonly digest: Digest; readonly again: boolean; readonly signal?: AbortSignal | undefined },
): Promise<boolean> {
  const known = again ? undefined : hashedFiles.get(path);
  if (known?.version === version) return known.digest === digest;
  const hashed = await hashFile(files, path, { algorithm: algorithmOf(digest), signal });
  if (!hashed) return false;
  // Only if nobody wrote it meanwhile.
  if ((await files.facts(path))?.version === version)
    remember(hashedFiles, path, { version, digest: hashed.digest }, mostFiles);
  return hashed.digest === digest;
}

/** The digest and size of a file; undefined if it does not exist. */
export async function hashFile(
  files: Files,
  path: string,
  { algorithm, signal }: Pick<WriterOptions, 'algorithm' | 'signal'>,
): Promise<{ readonly digest: Digest; readonly size: number } | undefined> {
  const file = await files.open(path, 'read');
  if (!file) return undefined;
  const hasher = createHasher(algorithm);
  try {
    const size = await hashInto(hasher, file, { path, at: Number.POSITIVE_INFINITY, signal });
    return { digest: hasher.digest(), size };
  } finally {
    await file.close();
  }
}
