import { cannot, type RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { kindOf } from '../oci/manifest.ts';
import { type Blobs, checkSize } from './blobs.ts';
import { findDigest, findName, plainDescriptor } from './entries.ts';
import type { IndexFile } from './index-file.ts';

/** What a layout knows of its contents. */
export interface Catalogue {
  /** What is known of content by its digest. `NOT_FOUND`. */
  described(digest: Digest, attempted: string): Promise<Descriptor>;
  /** What a name stands for. `NOT_FOUND`, also where its content is not here; `BAD_RESPONSE` for an entry that cannot be read. */
  named(name: string): Promise<Descriptor>;
  /** The target as the layout enters it: with the size that its file has and, if it is a manifest, a type that says so. */
  entered(target: Descriptor, attempted: string): Promise<Descriptor>;
  /** The error for what is not here. */
  missing(attempted: string, reference: string): RegistryError;
}

export function createCatalogue(name: string, blobs: Blobs, index: IndexFile): Catalogue {
  const missing: Catalogue['missing'] = (attempted, reference) =>
    cannot('NOT_FOUND', `${attempted} "${reference}"`, `not in ${name}`, { value: reference });
  const described: Catalogue['described'] = async (digest, attempted) => {
    const facts = await blobs.factsOf(digest);
    if (!facts) throw missing(attempted, digest);
    const known = findDigest(await index.read(), digest)?.descriptor;
    if (known) return { ...plainDescriptor(known), size: facts.size };
    return { mediaType: await blobs.typeOf(digest, facts.size), digest, size: facts.size };
  };
  return {
    missing,
    described,
    named: async (reference) => {
      const entry = findName(await index.read(), reference);
      if (!entry) throw missing('resolve', reference);
      if (!entry.descriptor) {
        throw cannot('BAD_RESPONSE', `resolve "${reference}" in ${name}`, entry.fault ?? '', { value: reference });
      }
      const { digest } = entry.descriptor;
      const facts = await blobs.factsOf(digest);
      if (!facts) throw missing(`resolve "${reference}": its content`, digest);
      return { ...plainDescriptor(entry.descriptor), size: facts.size };
    },
    entered: async (target, attempted) => {
      const found = await described(target.digest, attempted);
      checkSize(target, blobs.pathOf(target.digest), found.size);
      const isKnown = kindOf(target.mediaType) === 'manifests' || kindOf(found.mediaType) === 'blobs';
      return { ...target, mediaType: isKnown ? target.mediaType : found.mediaType, size: found.size };
    },
  };
}
