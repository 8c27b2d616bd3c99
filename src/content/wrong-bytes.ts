import { combineErrors } from '../combine.ts';
import { RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { createPile } from '../pile.ts';
import type { ReadingHosts } from './attempts.ts';
import type { Readings } from './readings.ts';

/** Times that content is read again after wrong bytes. */
const mostRestarts = 5;

/** How one reading of a whole ended: with what was wanted, or with an error and the hosts that it was read from. */
export type ReadOutcome<T> = { readonly value: T } | { readonly error: unknown; readonly hosts: ReadingHosts };

/**
 * Reads a whole, and if its bytes turn out wrong, reads it again: without the host that gave all of them, or that gave too
 * many. If several responses gave them, it is read from its beginning, from any host, in another order, as liars are
 * remembered. `read` gets the names of
 * hosts not to contact. An error that it throws instead of returning it is final.
 */
export async function untilRight<T>(
  { digest, size }: Descriptor,
  read: (except: readonly string[]) => Promise<ReadOutcome<T>>,
): Promise<T> {
  const errors: RegistryError[] = [];
  let except: readonly string[] = [];
  for (;;) {
    const outcome = await read(except);
    if ('value' in outcome) return outcome.value;
    const { error, hosts } = outcome;
    if (!(error instanceof RegistryError)) throw error;
    errors.push(error);
    const isTooLarge = hosts.except.length > except.length;
    const isWrong = error.code === 'DIGEST_MISMATCH' && hosts.served.size > 0;
    if (hosts.end < size || !(isTooLarge || isWrong) || errors.length > mostRestarts) {
      throw combineErrors(`read "${digest}"`, errors, { value: digest });
    }
    // Of several responses one may be of another content, as behind a load balancer: the host may be right in one.
    const isLiar = isWrong && hosts.served.size === 1 && !hosts.isSpliced;
    except = isLiar ? [...hosts.except, ...hosts.served] : hosts.except;
  }
}

/** All bytes, verified. If they turn out wrong, they are read again from another host. */
export function readWhole(descriptor: Descriptor, readings: Readings): Promise<Uint8Array> {
  return untilRight(descriptor, async (except) => {
    const { chunks, hosts } = readings.open({ start: 0 }, { except, bare: true });
    const pile = createPile();
    try {
      for await (const chunk of chunks) pile.add(chunk);
      return { value: pile.join() };
    } catch (error) {
      return { error, hosts };
    }
  });
}
