import { yamlKey, yamlText } from './quoted.ts';

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
