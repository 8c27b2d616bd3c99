import { join } from '../body.ts';
import { combineErrors } from '../combine.ts';
import { RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { hashOf } from './hash.ts';
import type { Readings } from './readings.ts';

/** Times a whole is read again after wrong bytes. */
const mostRestarts = 5;

/**
 * All bytes, verified. Where they turn out wrong, they are read again: without the host that gave them all, or that
 * gave too many; where several gave them, in another order, as liars are remembered.
 */
export async function readWhole(descriptor: Descriptor, readings: Readings): Promise<Uint8Array> {
  const { digest, size } = descriptor;
  const errors: RegistryError[] = [];
  const except: string[] = [];
  for (;;) {
    const hash = hashOf(descriptor);
    const refused = except.length;
    const chunks: Uint8Array[] = [];
    let count = 0;
    try {
      for await (const chunk of readings.open({ start: 0 }, { hash, except }).chunks) {
        count += chunk.length;
        chunks.push(chunk);
      }
      return join(chunks, size);
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      errors.push(error);
      const isLong = except.length > refused;
      const isWrong = error.code === 'DIGEST_MISMATCH' && hash.served.size > 0;
      if (count < size || !(isLong || isWrong) || errors.length > mostRestarts) {
        throw combineErrors(`Cannot read "${digest}"`, errors);
      }
      if (isWrong && hash.served.size === 1) except.push(...hash.served);
    }
  }
}
