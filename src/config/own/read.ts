import { type KeyPath, keyOf, pathText, valueAt } from '../../text/problems.ts';
import { quote } from '../../text/quote.ts';
import {
  type DocumentEntry,
  type DocumentNode,
  type FileProblem,
  fileError,
  type Position,
  placeText,
  type ReportProblem,
} from '../document/document.ts';
import type { ParsedFile } from '../document/file-report.ts';
import { parseJson } from '../document/json.ts';
import { below, directoryOf } from '../document/parts.ts';
import { parseToml } from '../document/toml.ts';
import { parseYaml } from '../document/yaml.ts';
import type { Config, OriginConfig, RegistryConfig, TlsConfig } from '../model.ts';
import { type KeyProblem, parseConfig, problemsOf } from '../parse-config.ts';
import { isPath, pemProblem, pemsOf } from '../pem.ts';
import { configSchema } from '../schema.ts';

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
export function readOwnConfig(text: string, { file, format }: OwnConfigPlace): ParsedFile {
  const { value, root } = readSettings(text, { file, format }, (found, isWrong) => {
    // The name of the schema says nothing of registries.
    if (typeof found === 'object' && found !== null && '$schema' in found) delete found.$schema;
    const problems = problemsOf(found, configSchema.safeParse(found).error);
    return problems.length > 0 || isWrong ? [...problems, ...pemProblems(found, file)] : [];
  });
  const config = withPlaces(value as Config, root, file);
  return { config: parseConfig(config, `config file ${quote(file)}`, file), warnings: [] };
}

/** What a file of settings is written in, by the ending of its name. */
export const formatOf = (path: string): OwnConfigPlace['format'] =>
  (/\.(json|toml)$/i.exec(path)?.[1]?.toLowerCase() ?? 'yaml') as OwnConfigPlace['format'];

/** The value of a file of settings, and its tree. */
export interface ReadSettings {
  readonly value: unknown;
  readonly root: DocumentNode;
}

/**
 * Reads settings in one of the formats of our own files. `INVALID_CONFIG` with the problems that `check` finds, each with its place,
 * and with duplicate keys, of which `isWrong` tells it. The value is what `check` was given.
 */
export function readSettings(
  text: string,
  { file, format }: OwnConfigPlace,
  check: (value: unknown, isWrong: boolean) => readonly KeyProblem[],
): ReadSettings {
  const repeats: FileProblem[] = [];
  const root = parseText(text, { file, format }, (at, found) => void repeats.push({ at, found }));
  // A YAML file with only comments is null.
  const value = plainValue(root) ?? {};
  const problems = check(value, repeats.length > 0).map((problem) => placed(root, problem));
  if (problems.length > 0 || repeats.length > 0) throw fileError(file, [...repeats, ...problems]);
  return { value, root };
}

/** A problem of a value, at its place in the file. */
export const placed = (root: DocumentNode, { path, found }: KeyProblem): FileProblem => ({
  at: nearestPosition(root, path),
  key: keyOf(path),
  found,
});

/** The tree of a text in one of the formats of our own files. */
export function parseText(text: string, { file, format }: OwnConfigPlace, report: ReportProblem): DocumentNode {
  if (format === 'toml') return parseToml(text, file, report);
  return format === 'yaml' ? parseYaml(text, file, report) : parseJson(text, file, report);
}

/** The plain value. Every key is a key, `__proto__` too, which the check then refuses. */
export function plainValue(node: DocumentNode): unknown {
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

/** What is wrong with the certificates and keys of a file that has other problems, too. */
export function pemProblems(value: unknown, file: string): KeyProblem[] {
  const registries = valueAt(value, ['registries']);
  if (typeof registries !== 'object' || registries === null) return [];
  const hosts = Object.keys(registries).flatMap((key): KeyPath[] => {
    const mirrors = valueAt(registries, [key, 'mirrors']);
    const count = Array.isArray(mirrors) ? mirrors.length : 0;
    return [...Array.from({ length: count }, (_, index) => [key, 'mirrors', index]), [key, 'origin']];
  });
  return hosts.flatMap((host) =>
    pemsOf(valueAt(registries, [...host, 'tls'])).flatMap(([path, text]) => {
      const problem = pemProblem(resolved(directoryOf(file), text));
      return problem === undefined ? [] : [{ path: ['registries', ...host, 'tls', ...path], found: problem }];
    }),
  );
}

/** The position of the key at a path, or of the nearest key above it that the file has. */
export const nearestPosition = (root: DocumentNode, path: KeyPath): Position =>
  positionOf(root, path) ?? nearestPosition(root, path.slice(0, -1));

function positionOf(root: DocumentNode, path: KeyPath): Position | undefined {
  return path.reduce<DocumentEntry | undefined>((found, key) => found && inside(found.value, key), {
    at: root.at,
    value: root,
  })?.at;
}

function inside(node: DocumentNode, key: PropertyKey): DocumentEntry | undefined {
  if (node.kind === 'table') return node.entries.get(String(key));
  const item = node.kind === 'list' ? node.items[Number(key)] : undefined;
  return item && { at: item.at, value: item };
}

/** The place of the key at a path, with the file's name. */
type Locate = (path: KeyPath) => { readonly line: string; readonly spot: string } | undefined;

/** Adds `declaredAt`, and makes paths absolute or relative to the directory of the file. */
export function withPlaces(config: Config, root: DocumentNode, file: string): Config {
  if (!config.registries) return config;
  const locate: Locate = (path) => {
    const at = positionOf(root, path);
    return at && { line: `${file}:${at.line}`, spot: `${placeText(file, at)}: ${pathText(path)}` };
  };
  const line = (path: KeyPath): object => {
    const found = locate(path);
    return found ? { declaredAt: found.line } : {};
  };
  const placed = <Host extends OriginConfig>(host: Host, path: KeyPath): Host => ({
    ...line(path),
    ...host,
    ...(host.tls && { tls: withPaths(host.tls, [...path, 'tls'], { locate, directory: directoryOf(file) }) }),
  });
  const registries = Object.entries(config.registries).map(([key, registry]): [string, RegistryConfig] => {
    const path = ['registries', key];
    const mirrors = registry.mirrors?.map((mirror, index) => placed(mirror, [...path, 'mirrors', index]));
    const { origin } = registry;
    const placedOrigin = typeof origin === 'object' ? placed(origin, [...path, 'origin']) : origin;
    return [key, { ...line(path), ...registry, ...(mirrors && { mirrors }), ...(origin && { origin: placedOrigin }) }];
  });
  return { ...config, registries: Object.fromEntries(registries) };
}

function withPaths(
  { ca, cert, key, ...rest }: TlsConfig,
  path: KeyPath,
  { locate, directory }: { readonly locate: Locate; readonly directory: string },
): TlsConfig {
  const given: KeyPath[] = [...pemsOf({ ca, cert, key }).map(([at]) => at), ['insecureSkipVerify']];
  const spots = given.flatMap((at) => {
    const found = locate([...path, ...at]);
    return found ? [[pathText(at), found.spot]] : [];
  });
  return {
    ...rest,
    ...(ca && { ca: ca.map((text) => resolved(directory, text)) }),
    ...(cert !== undefined && { cert: resolved(directory, cert) }),
    ...(key !== undefined && { key: resolved(directory, key) }),
    ...(spots.length > 0 && { declaredAt: { ...Object.fromEntries(spots), ...rest.declaredAt } }),
  };
}

const resolved = (directory: string, text: string): string => (isPath(text) ? below(directory, text) : text);
