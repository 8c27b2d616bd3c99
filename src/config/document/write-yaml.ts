import { type ScalarTag, stringify } from 'yaml';
import { asciiText } from '../../text/quote.ts';

/** What YAML is made of here. Maps keep the order of keys that look like numbers. */
export type Yaml = string | number | boolean | readonly Yaml[] | ReadonlyMap<string, Yaml>;

const plainKey = /^(?!(?:y|n|yes|no|on|off|true|false|null)$)[a-z]\w{0,60}$/i;

/**
 * Texts always in quotes, so that no reader takes one for a number, a boolean, a date, an anchor or a merge, and in ASCII:
 * the library would write control characters and line separators as they are, which Go's parser refuses or folds.
 */
const quotedText: ScalarTag = {
  tag: 'tag:yaml.org,2002:str',
  default: true,
  identify: (value) => typeof value === 'string',
  resolve: (text) => text,
  stringify({ value }, { implicitKey }) {
    const text = String(value);
    if (implicitKey && plainKey.test(text)) return text;
    return /^[\x20-\x7e]*$/.test(text) ? `'${text.replaceAll("'", "''")}'` : asciiText(text);
  },
};

/** A value as a YAML text: maps, or plain data, of which what is undefined or a function is left out. */
export const writeYaml = (value: Yaml | object): string =>
  stringify(value, (_, inner) => (typeof inner === 'function' ? undefined : inner), {
    customTags: (tags) => [quotedText, ...tags],
    aliasDuplicateObjects: false,
    lineWidth: 0,
  });
