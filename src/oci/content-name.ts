import { cannot } from '../errors.ts';
import { isDigest } from './digest.ts';
import { quote } from './quote.ts';
import { isTag } from './reference.ts';

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/annotations.md: `ref` */
const component = '[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*';
const nameGrammar = new RegExp(`^${component}(?:/${component})*$`);
const longestName = 1024;

/** Refuses what is no name: `INVALID_REFERENCE`. Tags of registries are names, and what the image specification allows. */
export function checkName(name: string): void {
  const fault =
    typeof name !== 'string'
      ? 'not a text'
      : isDigest(name)
        ? 'a digest'
        : name.length > longestName
          ? `more than ${longestName} characters`
          : isTag(name) || nameGrammar.test(name)
            ? undefined
            : 'letters and digits, with one of -._:@/+ between them, are expected';
  if (fault !== undefined) throw cannot('INVALID_REFERENCE', `use name ${quote(name)}`, fault);
}
