import type { LookupFunction } from 'node:net';
import { cannot, type RegistryError } from '../errors.ts';
import { familyOf, isAddress, isAllowed, refuseAddress } from './address.ts';
import type { AddressPolicy } from './transport.ts';

/** Which addresses may be connected to. */
export interface AddressRules {
  readonly policy: AddressPolicy;
  /** IPv4 or IPv6 alone. */
  readonly family?: 4 | 6 | undefined;
}

/** What is wrong with a host that is an address itself. */
export function addressFault(host: string, { policy, family }: AddressRules): RegistryError | undefined {
  if (!isAddress(host)) return undefined;
  if (family !== undefined && familyOf(host) !== family) {
    return unavailable(host, `it is an IPv${familyOf(host)} address, and only IPv${family} is used`);
  }
  return isAllowed(host, policy) ? undefined : refuseAddress(host, host);
}

/**
 * The system's look-up, but for addresses of another family, and for those that the policy refuses: so a name cannot
 * stand for one. Undefined where every address will do.
 */
export function ruledLookup(
  systemLookup: typeof import('node:dns').lookup,
  { policy, family }: AddressRules,
): LookupFunction | undefined {
  if (policy === 'any' && family === undefined) return undefined;
  return (hostname, options, callback) => {
    systemLookup(hostname, { ...options, all: true }, (error, all) => {
      if (error) {
        callback(error, []);
        return;
      }
      const found = all.filter(({ address }) => family === undefined || familyOf(address) === family);
      const refused = found.find(({ address }) => !isAllowed(address, policy));
      const [first] = found;
      if (refused) callback(refuseAddress(hostname, refused.address), []);
      else if (!first) callback(unavailable(hostname, `it has no IPv${family ?? ''} address`), []);
      else if (options.all) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}

const unavailable = (host: string, found: string): RegistryError =>
  cannot('UNAVAILABLE', `connect to "${host}"`, found, { host });
