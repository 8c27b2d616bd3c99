import { cannot } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Manifest } from '../oci/manifest.ts';
import type { Work } from './work.ts';

/** All that an image manifest is made of. */
export const contentsOf = ({ config, layers }: Manifest): readonly Descriptor[] => [config, ...layers];

/** Notes what a document says of sizes. `BAD_RESPONSE` where a content has two: then one is wrong, whichever came first. */
export function noteSizes({ sizes }: Pick<Work, 'sizes'>, by: Descriptor, named: readonly Descriptor[]): void {
  for (const { digest, size } of named) {
    const other = sizes.get(digest) ?? size;
    if (other !== size) {
      const found = `"${digest}" has ${size} bytes by one descriptor, and ${other} by another`;
      throw cannot('BAD_RESPONSE', `copy "${by.digest}"`, found, { value: by.digest, reason: 'size-conflict' });
    }
    sizes.set(digest, size);
  }
}
