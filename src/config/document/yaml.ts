import {
  Composer,
  type CST,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  Parser,
  type ScalarTag,
  stringify,
} from 'yaml';
import { asciiText } from '../../text/quote.ts';
import {
  byPosition,
  checkLength,
  type DocumentEntry,
  type DocumentNode,
  deepest,
  duplicateKey,
  type FileProblem,
  fileError,
  type Position,
  type ReportProblem,
} from './document.ts';

/** Characters: each may take a kilobyte of memory while they are parsed. */
const longestYaml = 512 * 1024;

/** Values of a document whose aliases are written out. */
const mostValues = 1_000_000;

/** Of a text that is not valid YAML; one error makes many others. */
const mostProblems = 20;

interface YamlReading {
  position(offset: number): Position;
  /** By the name of their anchor, the latest of that name. */
  readonly anchors: Map<string, Anchored>;
  values: number;
  readonly report: ReportProblem;
  /** Throws what is wrong at an offset. */
  fail(offset: number, message: string): never;
}

interface Anchored {
  readonly node: DocumentNode;
  readonly values: number;
}

/**
 * Reads one document of YAML 1.2, or JSON, to its values and their positions, tables in the file's order; `<<` merges.
 * `INVALID_CONFIG` with `file:line:column` for a text that is not valid YAML, has a duplicate key, a key that is not a
 * text, an unknown tag or alias, is nested deeper than 64 levels, or longer than 512 Ki characters. An empty text is null.
 * A duplicate key is reported to `report`, if given, and the first counts.
 */
export function parseYaml(text: string, file: string, report?: ReportProblem): DocumentNode {
  checkLength(text, file, longestYaml);
  const lines = new LineCounter();
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const fail = (offset: number, found: string): never => {
    throw fileError(file, [{ at: position(offset), found }]);
  };
  const [first, second] = composed(text, lines, fail);
  const errors = [...(first?.errors ?? []), ...(first?.warnings ?? [])];
  const problems = syntaxProblems(errors, position);
  if (second) problems.push({ at: position(second.range[0]), found: 'found a second document, expected one' });
  if (problems.length > 0) throw fileError(file, problems.slice(0, mostProblems));
  const duplicates: FileProblem[] = [];
  const collect: ReportProblem = (at, found) => void duplicates.push({ at, found });
  const reading = { position, anchors: new Map(), values: 0, report: report ?? collect, fail };
  const root = nodeOf(first?.contents ?? null, 0, reading, 0);
  if (duplicates.length > 0) throw fileError(file, duplicates.slice(0, mostProblems));
  return root;
}

/** An error that the parser found. */
interface YamlError {
  readonly pos: readonly [number, number];
  readonly code: string;
  readonly message: string;
}

const badAlias = 'BAD_ALIAS';

/** What is not YAML, in the file's order. A `*` without quotes makes other errors in its line, which are not reported. */
function syntaxProblems(errors: readonly YamlError[], position: (offset: number) => Position): FileProblem[] {
  const placed = errors.map(({ pos, code, message }) => ({ at: position(pos[0]), code, message }));
  const stars = new Set(placed.filter(({ code }) => code === badAlias).map(({ at }) => at.line));
  return placed
    .filter(({ at, code }) => code === badAlias || !stars.has(at.line))
    .sort((a, b) => byPosition(a.at, b.at))
    .map((error) => ({ at: error.at, found: syntaxProblem(error) }));
}

/** Without what a message quotes of the file, which may be secret. */
function syntaxProblem({ code, message }: Omit<YamlError, 'pos'>): string {
  if (code === badAlias) return 'not valid YAML, found an alias, expected quotes around what begins with "*"';
  return `not valid YAML, ${message.replace(/(?:: |(?<=escape sequence) ).*/s, '')}`;
}

function composed(text: string, lines: LineCounter, fail: YamlReading['fail']) {
  const tokens = [...new Parser(lines.addNewLine).parse(text)];
  // Composing recurses, and a stack that overflows in it can end the process.
  const offset = tooDeep(tokens);
  if (offset !== undefined) fail(offset, `found more than ${deepest} levels, expected fewer`);
  // Its own check compares every key with every other, which takes too long; they are compared here.
  return [...new Composer({ prettyErrors: false, uniqueKeys: false }).compose(tokens, true, text.length)];
}

/** Where a value of more levels begins than anyone writes. */
function tooDeep(tokens: readonly CST.Token[]): number | undefined {
  const open = tokens.map((token) => ({ token, level: 0 }));
  for (let next = open.pop(); next; next = open.pop()) {
    const { token, level } = next;
    if (level > deepest) return token.offset;
    if (token.type === 'document' && token.value) open.push({ token: token.value, level });
    if (!('items' in token)) continue;
    for (const { key, value } of token.items) {
      if (key) open.push({ token: key, level: level + 1 });
      if (value) open.push({ token: value, level: level + 1 });
    }
  }
  return undefined;
}

function nodeOf(node: Node | null, offset: number, reading: YamlReading, level: number): DocumentNode {
  const start = node?.range?.[0] ?? offset;
  if (level > deepest) return reading.fail(start, `found more than ${deepest} levels, expected fewer`);
  if (isAlias(node)) return aliased(node.source, start, reading);
  const before = reading.values++;
  const found = withoutAlias(node, start, reading, level);
  const anchor = node?.anchor;
  if (anchor !== undefined) reading.anchors.set(anchor, { node: found, values: reading.values - before });
  return found;
}

function aliased(name: string, offset: number, reading: YamlReading): DocumentNode {
  const anchored = reading.anchors.get(name);
  if (!anchored) return reading.fail(offset, 'found an alias without an anchor, expected the anchor before it');
  reading.values += anchored.values;
  if (reading.values > mostValues)
    return reading.fail(offset, `found more than ${mostValues} values with aliases, expected fewer`);
  return anchored.node;
}

function withoutAlias(node: Node | null, offset: number, reading: YamlReading, level: number): DocumentNode {
  const at = reading.position(offset);
  if (isSeq<Node>(node)) {
    return { kind: 'list', at, items: node.items.map((item) => nodeOf(item, offset, reading, level + 1)) };
  }
  if (isMap<Node, Node | null>(node)) {
    return { kind: 'table', at, entries: entriesOf(node.items, offset, reading, level) };
  }
  if (!isScalar(node)) return { kind: 'scalar', at, value: null };
  const isQuoted = node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE';
  const source = node.source === undefined ? {} : { source: node.source };
  return { kind: 'scalar', at, value: node.value, ...source, ...(isQuoted && { quoted: true }) };
}

function entriesOf(pairs: readonly Pair<Node, Node | null>[], offset: number, reading: YamlReading, level: number) {
  const entries = new Map<string, DocumentEntry>();
  const merged: DocumentNode[] = [];
  for (const { key, value } of pairs) {
    const start = key?.range?.[0] ?? offset;
    if (!isScalar(key)) return reading.fail(start, 'found a key that is not a text, expected a text');
    const name = typeof key.value === 'string' ? key.value : (key.source ?? '');
    const known = entries.get(name);
    if (known) reading.report(reading.position(start), duplicateKey(name, known.at));
    if (key.anchor !== undefined) return reading.fail(start, 'found an anchor of a key, expected one of a value');
    const inner = nodeOf(value, key.range?.[1] ?? start, reading, level + 1);
    // Quoted it is a key like others.
    if (name === '<<' && key.type === 'PLAIN') merged.push(...mergedBy(inner, start, reading));
    else if (!known) entries.set(name, { at: reading.position(start), value: inner });
  }
  for (const { entries: more } of merged as { entries: ReadonlyMap<string, DocumentEntry> }[]) {
    for (const [name, entry] of more) if (!entries.has(name)) entries.set(name, entry);
  }
  return entries;
}

/** The tables of a `<<`: one, or a list of them. */
function mergedBy(node: DocumentNode, offset: number, reading: YamlReading): DocumentNode[] {
  const tables = node.kind === 'list' ? [...node.items] : [node];
  if (tables.some(({ kind }) => kind !== 'table')) return reading.fail(offset, 'found no table to merge, expected one');
  return tables;
}

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
