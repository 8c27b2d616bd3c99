import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { referrerOf } from '../oci/referrer.ts';
import type { Blobs } from './blobs.ts';
import { type LayoutIndex, plainDescriptor } from './entries.ts';
import { walk } from './walk.ts';

/** Whose referrers, and which of them. */
export interface Wanted {
  readonly digest: Digest;
  readonly artifactType?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The manifests that `index.json` reaches and that refer to a digest, in the order of their digests. */
export async function referrersIn(
  index: LayoutIndex,
  blobs: Blobs,
  { digest, artifactType, signal }: Wanted,
): Promise<readonly Descriptor[]> {
  const found: Descriptor[] = [];
  // A document that cannot be read refers to nothing.
  for await (const { as, bytes, descriptor } of walk(index, blobs, { signal, onFault: () => {} })) {
    if (as === 'part') break;
    const referrer = bytes && referrerOf(bytes, plainDescriptor(descriptor));
    if (referrer?.subject !== digest) continue;
    if (artifactType === undefined || referrer.descriptor.artifactType === artifactType)
      found.push(referrer.descriptor);
  }
  return found.sort((a, b) => (a.digest < b.digest ? -1 : 1));
}
