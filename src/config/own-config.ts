import type { RegistryError } from '../errors.ts';
import { pathText } from '../oci/issue.ts';
import { quote } from '../oci/quote.ts';
import { parseConfig } from './config.ts';
import { byPosition, type DocumentNode, type Position, type TellFault } from './document.ts';
import { fileError, placeText } from './file-problems.ts';
import { parseJson } from './json.ts';
import type { Config } from './model.ts';
import { pemProblems, withPlaces } from './own-places.ts';
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
  const repeats: Told[] = [];
  const root = parseText(text, { file, format }, (at, problem) => void repeats.push({ at, problem }));
  // A YAML file of comments alone is null.
  const value = plainValue(root) ?? {};
  // The name of the schema says nothing of registries.
  if (typeof value === 'object' && value !== null && '$schema' in value) delete value.$schema;
  const problems = problemsOf(value, configSchema.safeParse(value).error);
  if (problems.length > 0 || repeats.length > 0) {
    const place = placer(root);
    const told = [...problems, ...pemProblems(value, file)].map((problem) => ({ problem, at: place(problem) }));
    throw refused(file, [...repeats, ...told]);
  }
  const config = withPlaces(value as Config, root, file);
  return { config: parseConfig(config, `config file ${quote(file)}`), warnings: [] };
}

/** A problem and its place. */
interface Told {
  readonly at: Position;
  readonly problem: string;
}

/** Problems that are told; more of them tell no more. */
const mostProblems = 100;

function refused(file: string, problems: readonly Told[]): RegistryError {
  const lines = [...problems]
    .sort((a, b) => byPosition(a.at, b.at))
    .map(({ problem, at }) => `${placeText(file, at)}: ${problem.replace(/^it: /, '')}`);
  const left = lines.length - mostProblems;
  return fileError(file, left > 0 ? [...lines.slice(0, mostProblems), `and ${left} more`] : lines);
}

function parseText(text: string, { file, format }: OwnConfigPlace, tell: TellFault): DocumentNode {
  if (format === 'toml') return parseToml(text, file, tell);
  return format === 'yaml' ? parseYaml(text, file, tell) : parseJson(text, file, tell);
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
