import { cannot } from '../errors.ts';
import { quote } from '../oci/quote.ts';
import type { ShortNames } from './model.ts';

/**
 * A reference with its registry, where it has none and the configuration says which: an alias, or the one registry that
 * is searched. `INVALID_REFERENCE` where several are: which of them would answer is not ours to guess.
 */
export function expandShortName(reference: string, { aliases = {}, search }: ShortNames = {}): string {
  const [, name = '', suffix = ''] = /^([^:@]*)(.*)$/s.exec(reference) ?? [];
  const [first = ''] = name.split('/');
  // `localhost` and whatever has a dot or a port is a registry, as in references.
  if (name === '' || first.includes('.') || /^localhost$/i.test(first) || hasPort(reference)) return reference;
  if (Object.hasOwn(aliases, name)) return `${aliases[name]}${suffix}`;
  if (!search || search.length === 0) return reference;
  if (search.length > 1) {
    const found = `it has no registry, and ${search.length} are searched (${search.join(', ')}): name one`;
    throw cannot('INVALID_REFERENCE', `parse reference ${quote(reference)}`, found);
  }
  return `${search[0]}/${name}${suffix}`;
}

const hasPort = (reference: string): boolean => /^[^/@]*:\d+\//.test(reference);
