import { pathText } from '../oci/issue.ts';
import { quote } from '../oci/quote.ts';
import { parseConfig } from './config.ts';
import type { DocumentNode, Position } from './document.ts';
import { fileError, placeText } from './file-problems.ts';
import { below, directoryOf } from './host-parts.ts';
import { parseJson } from './json.ts';
import type { Config, OriginConfig, RegistryConfig, TlsConfig } from './model.ts';
import { problemsOf } from './problems.ts';
import type { Read } from './read.ts';
import { configSchema } from './schema.ts';
import { parseToml } from './toml.ts';
import { parseYaml } from './yaml.ts';

/** An own file's name, and what it is written in. */
export interface OwnConfigPlace {
  /** As messages name it; its relative paths are relative to its directory. */
  readonly file: string;
  readonly format: 'json' | 'yaml' | 'toml';
}

/**
 * Reads ocifetch's own file: the model itself, and `$schema` for editors. Certificates and keys are PEM texts, or paths
 * relative to the file. `INVALID_CONFIG` with all problems, each with `file:line:column`, what was found and what was
 * expected.
 */
export function readOwnConfig(text: string, { file, format }: OwnConfigPlace): Read {
  const root = parseText(text, file, format);
  // A YAML file of comments alone is null.
  const value = plainValue(root) ?? {};
  // The name of the schema says nothing of registries.
  if (typeof value === 'object' && value !== null && '$schema' in value) delete value.$schema;
  const problems = problemsOf(value, configSchema.safeParse(value).error);
  if (problems.length > 0) {
    const place = placer(root);
    const told = problems.map((problem) => ({ problem, at: place(problem) })).sort((a, b) => order(a.at, b.at));
    throw fileError(
      file,
      told.map(({ problem, at }) => `${placeText(file, at)}: ${problem.replace(/^it: /, '')}`),
    );
  }
  const config = withPlaces(value as Config, root, file);
  return { config: parseConfig(config, `config file ${quote(file)}`), warnings: [] };
}

function parseText(text: string, file: string, format: OwnConfigPlace['format']): DocumentNode {
  if (format === 'toml') return parseToml(text, file);
  return format === 'yaml' ? parseYaml(text, file) : parseJson(text, file);
}

/** The plain value. Every key is a key, `__proto__` too, which the check then refuses. */
function plainValue(node: DocumentNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(plainValue);
  const table = {};
  for (const [key, entry] of node.entries) {
    Object.defineProperty(table, key, {
      value: plainValue(entry.value),
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
  return table;
}

const order = (a: Position, b: Position): number => a.line - b.line || a.column - b.column;

/** Where the key path stands that a problem begins with, or the nearest that there is above it. */
function placer(root: DocumentNode): (problem: string) => Position {
  const places = new Map<string, Position>();
  const visit = (node: DocumentNode, path: readonly PropertyKey[], at: Position): void => {
    places.set(pathText(path), at);
    if (node.kind === 'list') for (const [index, item] of node.items.entries()) visit(item, [...path, index], item.at);
    if (node.kind === 'table') for (const [key, entry] of node.entries) visit(entry.value, [...path, key], entry.at);
  };
  visit(root, [], root.at);
  return (problem) => {
    let found = root.at;
    for (let end = 1; end < Math.min(problem.length, 2000); end++) {
      if (':.['.includes(problem[end] ?? '')) found = places.get(problem.slice(0, end)) ?? found;
    }
    return found;
  };
}

/** What stands at a key or index, and where. */
function inside(
  node: DocumentNode | undefined,
  key: string | number,
): { at: Position; value: DocumentNode } | undefined {
  if (node?.kind === 'table') return node.entries.get(String(key));
  const item = node?.kind === 'list' ? node.items[Number(key)] : undefined;
  return item && { at: item.at, value: item };
}

/** With the lines that say what is said, and with paths that do not depend on where the program was started. */
function withPlaces(config: Config, root: DocumentNode, file: string): Config {
  if (!config.registries) return config;
  const tables = inside(root, 'registries')?.value;
  const line = (at: Position | undefined): object => (at ? { declaredAt: `${file}:${at.line}` } : {});
  const placed = <Host extends OriginConfig>(host: Host, found: ReturnType<typeof inside>): Host => ({
    ...line(found?.at),
    ...host,
    ...(host.tls && { tls: withPaths(host.tls, directoryOf(file)) }),
  });
  const registries = Object.entries(config.registries).map(([key, registry]): [string, RegistryConfig] => {
    const table = inside(tables, key);
    const list = inside(table?.value, 'mirrors')?.value;
    const mirrors = registry.mirrors?.map((mirror, index) => placed(mirror, inside(list, index)));
    const { origin } = registry;
    const placedOrigin = typeof origin === 'object' ? placed(origin, inside(table?.value, 'origin')) : origin;
    return [
      key,
      { ...line(table?.at), ...registry, ...(mirrors && { mirrors }), ...(origin && { origin: placedOrigin }) },
    ];
  });
  return { ...config, registries: Object.fromEntries(registries) };
}

function withPaths({ ca, cert, key, ...rest }: TlsConfig, directory: string): TlsConfig {
  const resolved = (text: string): string => (text.includes('-----BEGIN ') ? text : below(directory, text));
  return {
    ...rest,
    ...(ca && { ca: ca.map(resolved) }),
    ...(cert !== undefined && { cert: resolved(cert) }),
    ...(key !== undefined && { key: resolved(key) }),
  };
}
