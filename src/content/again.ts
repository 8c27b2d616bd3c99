import { combineErrors } from '../combine.ts';
import { RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';

/** Times a whole is read again after wrong bytes. */
const mostRestarts = 5;

/** One reading of a whole, and what it learnt of its hosts: filled in by whoever reads. */
export interface Try {
  /** Names of hosts not to ask; those that send too much are added. */
  readonly except: string[];
  /** Names of the hosts that gave bytes, the last one at the end. */
  served: ReadonlySet<string>;
  /** Where the bytes ended. */
  end: number;
}

/**
 * Reads a whole, and where its bytes turn out wrong, again: without the host that gave them all, or that gave too many;
 * where several gave them, in another order, as liars are remembered.
 */
export async function untilRight<T>({ digest, size }: Descriptor, read: (one: Try) => Promise<T>): Promise<T> {
  const errors: RegistryError[] = [];
  const except: string[] = [];
  for (;;) {
    const refused = except.length;
    const one: Try = { except, served: new Set(), end: 0 };
    try {
      return await read(one);
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      errors.push(error);
      const isLong = except.length > refused;
      const isWrong = error.code === 'DIGEST_MISMATCH' && one.served.size > 0;
      if (one.end < size || !(isLong || isWrong) || errors.length > mostRestarts) {
        throw combineErrors(`read "${digest}"`, errors, { value: digest });
      }
      if (isWrong && one.served.size === 1) except.push(...one.served);
    }
  }
}
