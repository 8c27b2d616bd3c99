import { checkHost } from './address.ts';
import type { Wrapper } from './transport.ts';

/**
 * Refuses requests to a host that is itself an address, or a name of this machine, which `addresses` does not allow:
 * `UNSAFE_URL`. What the address of any other name is, only the transport sees.
 */
export const guard = (): Wrapper => (next) => async (request) => {
  checkHost(request);
  return next(request);
};
