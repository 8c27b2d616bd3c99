import type { Descriptor } from '../oci/descriptor.ts';
import { createHasher, type Hasher } from '../oci/digest.ts';

/** A hash over the bytes from 0 up to `at`. */
export interface Hash {
  readonly hasher: Hasher;
  at: number;
  /** Names of the hosts that gave them, the last one at the end. */
  readonly served: Set<string>;
}

export const hashOf = ({ digest }: Descriptor): Hash => ({ hasher: createHasher(digest), at: 0, served: new Set() });
