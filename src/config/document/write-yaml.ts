/** What YAML is made of here. Maps keep the order of keys that look like numbers. */
export type Yaml = string | number | boolean | readonly Yaml[] | ReadonlyMap<string, Yaml>;

/** A value as the lines of a YAML text. */
export function yamlLines(value: Yaml): string[] {
  if (typeof value === 'string') return [yamlText(value)];
  if (typeof value !== 'object') return [String(value)];
  if (isList(value)) {
    if (value.length === 0) return ['[]'];
    return value.flatMap((item) => yamlLines(item).map((line, index) => `${index === 0 ? '- ' : '  '}${line}`));
  }
  if (value.size === 0) return ['{}'];
  return [...value].flatMap(([key, inner]) => entryLines(yamlKey(key), inner));
}

function entryLines(key: string, inner: Yaml): string[] {
  const before = key.split('\n');
  const last = before.pop() ?? '';
  const lines = yamlLines(inner);
  const isInline = typeof inner !== 'object' || (isList(inner) ? inner.length : inner.size) === 0;
  return isInline ? [...before, `${last} ${lines[0]}`] : [...before, last, ...lines.map((line) => `  ${line}`)];
}

const isList = (value: readonly Yaml[] | ReadonlyMap<string, Yaml>): value is readonly Yaml[] => Array.isArray(value);

/** Plain data as YAML's; what is undefined or a function is left out. */
export function asYaml(value: unknown): Yaml {
  if (Array.isArray(value)) return value.map(asYaml);
  if (typeof value !== 'object' || value === null)
    return typeof value === 'boolean' || typeof value === 'number' ? value : String(value);
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined && typeof inner !== 'function');
  return new Map(entries.map(([key, inner]) => [key, asYaml(inner)]));
}

/** A text in double quotes, as TOML and YAML both read it. */
function doubleQuoted(text: string): string {
  const escaped = [...text].map((letter) => {
    if (letter === '"' || letter === '\\') return `\\${letter}`;
    if (/^[\x20-\x7e]$/.test(letter)) return letter;
    const code = (letter.codePointAt(0) ?? 0).toString(16);
    return code.length > 4 ? `\\U${code.padStart(8, '0')}` : `\\u${code.padStart(4, '0')}`;
  });
  return `"${escaped.join('')}"`;
}

/** A text for TOML; a literal one where it can be, so that patterns stay legible. */
export const tomlText = (text: string): string =>
  /^[\x20-\x7e]*$/.test(text) && /["\\]/.test(text) && !text.includes("'") ? `'${text}'` : doubleQuoted(text);

/** A text for YAML, always in quotes: no reader takes it for a number, a boolean, an anchor or a merge. */
const yamlText = (text: string): string =>
  /^[\x20-\x7e]*$/.test(text) ? `'${text.replaceAll("'", "''")}'` : doubleQuoted(text);

/** A key for YAML, which reads none of more than 1024 characters on the line of its value. */
const yamlKey = (key: string): string => {
  if (/^[A-Za-z][A-Za-z0-9_]{0,60}$/.test(key) && !/^(?:y|n|yes|no|on|off|true|false|null)$/i.test(key))
    return `${key}:`;
  const quoted = yamlText(key);
  return quoted.length <= 1000 ? `${quoted}:` : `? ${quoted}\n:`;
};
