import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, normalize, posix } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileSource } from './support/compiled.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Path below src without `.ts` → the paths it may import, besides its own folder. A folder stands for all its files. */
const lowest = ['runtime', 'endpoint', 'login', 'proxy', 'errors'];
const contracts = [...lowest, 'text', 'oci', 'source', 'events', 'abort', 'body'];
const places = [...contracts, 'codec', 'config', 'http', 'combine', 'content', 'copy', 'cached', 'files', 'store'];
const mayImport: Readonly<Record<string, readonly string[]>> = {
  runtime: [],
  endpoint: ['runtime'],
  login: [],
  proxy: [],
  errors: ['runtime', 'endpoint'],
  text: lowest,
  oci: [...lowest, 'text'],
  source: [...lowest, 'oci'],
  events: [...lowest, 'oci'],
  abort: lowest,
  body: [...lowest, 'oci', 'source', 'abort'],
  codec: contracts,
  config: contracts,
  http: contracts,
  combine: contracts,
  content: [...contracts, 'combine'],
  copy: [...contracts, 'combine', 'content'],
  cached: [...contracts, 'combine', 'content'],
  files: [...contracts, 'codec', 'combine', 'content'],
  store: contracts,
  remote: places,
  server: [...places, 'remote'],
  index: [...places, 'remote'],
  cli: ['index'],
};

/** Files that may import `node:` modules at run time; everything else loads in any runtime. A slash at the end: a folder. */
const nodeFiles = ['http/undici', 'codec/native', 'store/', 'cli/', 'server/listen'];
const nodeConfigFiles = [
  'config/usual-places',
  'config/load',
  'config/load-files',
  'config/files',
  'config/containerd/read',
  'config/containerd/directory',
  'config/k3s/read',
  'config/containers/read',
  'config/containers/load',
  'config/containers/certificates',
  'config/docker/read',
  'config/docker/run-helper',
];

/** Why a file has more than 300 lines. More than 400 are not allowed at all. */
const longFiles: Readonly<Record<string, string>> = {};

/** Why a function has more than 40 lines of its own, by `path:name`. */
const longFunctions: Readonly<Record<string, string>> = {};

/** Names of lists of places. Only combine.ts asks them one by one; elsewhere such lists are mapped and filtered. */
const placeLists = /(?:^|[a-z_])(?:endpoints|hosts|sources|mirrors|urls)$/i;

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly dynamic: boolean;
}

interface SourceFile {
  /** Below src, without `.ts`: `oci/reference`. */
  readonly name: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
  readonly imports: readonly Import[];
}

function everyNode(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => everyNode(child, visit));
}

function importsOf(tree: ts.SourceFile): Import[] {
  const imports: Import[] = [];
  everyNode(tree, (node) => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier) {
      const specifier = (node.moduleSpecifier as ts.StringLiteral).text;
      const phase = ts.isImportDeclaration(node) ? node.importClause?.phaseModifier : undefined;
      const typeOnly = ts.isExportDeclaration(node) ? node.isTypeOnly : phase === ts.SyntaxKind.TypeKeyword;
      imports.push({ specifier, typeOnly, dynamic: false });
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [argument] = node.arguments;
      const specifier = argument && ts.isStringLiteralLike(argument) ? argument.text : '(computed)';
      imports.push({ specifier, typeOnly: false, dynamic: true });
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      const literal = node.argument.literal as ts.StringLiteral;
      imports.push({ specifier: literal.text, typeOnly: true, dynamic: false });
    }
  });
  return imports;
}

async function readSources(): Promise<SourceFile[]> {
  const paths = (await readdir(join(root, 'src'), { recursive: true })).filter((path) => path.endsWith('.ts')).sort();
  return Promise.all(
    paths.map(async (path) => {
      const text = await readFile(join(root, 'src', path), 'utf8');
      const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
      return { name: path.replaceAll('\\', '/').replace(/\.ts$/, ''), text, tree, imports: importsOf(tree) };
    }),
  );
}

const sources = await readSources();
const groupOf = (name: string): string => name.split('/')[0] ?? name;
const lineOf = (tree: ts.SourceFile, node: ts.Node): number =>
  tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1;
const place = (file: SourceFile, node: ts.Node): string => `src/${file.name}.ts:${lineOf(file.tree, node)}`;

/** The path below src that a relative import names, `undefined` for a package. */
function targetOf(file: SourceFile, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return posix.join(posix.dirname(file.name), specifier).replace(/\.ts$/, '');
}

test('imports point one way: a file imports only what its line of the list allows', () => {
  const found = sources.flatMap((file) => {
    const group = groupOf(file.name);
    const allowed = mayImport[group];
    if (!allowed) return [`src/${file.name}.ts: "${group}" has no line in the list of import directions`];
    return file.imports
      .map(({ specifier }) => targetOf(file, specifier))
      .filter((target) => target !== undefined)
      .filter((target) => groupOf(target) !== group && !allowed.includes(groupOf(target)))
      .map((target) => `src/${file.name}.ts imports src/${target}.ts`);
  });
  expect(found).toEqual([]);
});

test('no file is reached again through what it imports', () => {
  const graph = new Map(
    sources.map((file) => [file.name, file.imports.map(({ specifier }) => targetOf(file, specifier) ?? '')]),
  );
  const state = new Map<string, 'open' | 'done'>();
  const cycles: string[] = [];
  const visit = (name: string, path: readonly string[]): void => {
    if (state.get(name) === 'done' || !graph.has(name)) return;
    if (state.get(name) === 'open') {
      cycles.push([...path.slice(path.indexOf(name)), name].join(' → '));
      return;
    }
    state.set(name, 'open');
    for (const next of graph.get(name) ?? []) visit(next, [...path, name]);
    state.set(name, 'done');
  };
  for (const name of graph.keys()) visit(name, []);
  expect(cycles).toEqual([]);
});

test('node: modules are imported only where a place of Node itself is meant', () => {
  const allowed = (name: string): boolean =>
    [...nodeFiles, ...nodeConfigFiles].some((one) => (one.endsWith('/') ? name.startsWith(one) : name === one));
  const found = sources
    .filter(({ name }) => !allowed(name))
    .flatMap(({ name, imports }) =>
      imports
        .filter(({ specifier, typeOnly }) => specifier.startsWith('node:') && !typeOnly)
        .map(({ specifier }) => `src/${name}.ts imports ${specifier}`),
    );
  expect(found).toEqual([]);
});

test('undici is imported in http/load-undici.ts alone, and only when first used; http knows no zod', () => {
  const found = sources.flatMap(({ name, imports }) =>
    imports
      .filter(({ specifier, typeOnly, dynamic }) => {
        if (typeOnly) return false;
        if (/^undici(?:\/|$)/.test(specifier)) return !(dynamic && name === 'http/load-undici');
        return /^zod(?:\/|$)/.test(specifier) && groupOf(name) === 'http';
      })
      .map(({ specifier }) => `src/${name}.ts imports ${specifier}`),
  );
  expect(found).toEqual([]);
});

/** What a loop does that asks one place after the other; one that only collects does none of it. */
const asking = new Set([
  ts.SyntaxKind.AwaitExpression,
  ts.SyntaxKind.YieldExpression,
  ts.SyntaxKind.TryStatement,
  ts.SyntaxKind.ReturnStatement,
]);

test('only combine.ts asks one host after the other', () => {
  const found: string[] = [];
  for (const file of sources.filter(({ name }) => name !== 'combine')) {
    everyNode(file.tree, (node) => {
      if (!ts.isForOfStatement(node) && !ts.isForInStatement(node)) return;
      const names: string[] = [];
      everyNode(node.expression, (part) => {
        if (ts.isIdentifier(part) || ts.isPrivateIdentifier(part)) names.push(part.text);
      });
      let asks = ts.isForOfStatement(node) && node.awaitModifier !== undefined;
      everyNode(node.statement, ({ kind }) => {
        asks ||= asking.has(kind);
      });
      if (asks && names.some((name) => placeLists.test(name))) {
        found.push(`${place(file, node)} loops over ${node.expression.getText(file.tree)}`);
      }
    });
  }
  expect(found).toEqual([]);
});

test('a file has at most 300 lines, or 400 and a reason', () => {
  const lengths = sources.map(({ name, text }) => ({
    name: `src/${name}.ts`,
    lines: text.trimEnd().split('\n').length,
  }));
  const found = lengths
    .filter(({ name, lines }) => lines > (longFiles[name] ? 400 : 300))
    .map(({ name, lines }) => `${name} has ${lines} lines`);
  const stale = Object.keys(longFiles).filter((name) => (lengths.find((one) => one.name === name)?.lines ?? 0) <= 300);
  expect(found).toEqual([]);
  expect(stale, 'listed as long, but not long').toEqual([]);
});

type FunctionWithBody = ts.FunctionLikeDeclaration & { readonly body: ts.ConciseBody };

const isFunction = (node: ts.Node): node is FunctionWithBody =>
  ts.isFunctionLike(node) && 'body' in node && node.body !== undefined;

function nameOf(node: FunctionWithBody, tree: ts.SourceFile): string {
  if (ts.isConstructorDeclaration(node)) return 'constructor';
  if (node.name) return node.name.getText(tree);
  const { parent } = node;
  if ((ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) && parent.name)
    return parent.name.getText(tree);
  return `function at line ${lineOf(tree, node)}`;
}

/** Lines of a function, without those of the functions written inside it, which count for themselves. */
function ownLines(node: FunctionWithBody, tree: ts.SourceFile): number {
  const lines = new Set<number>();
  const line = (position: number): number => tree.getLineAndCharacterOfPosition(position).line;
  for (let at = line(node.getStart(tree)); at <= line(node.end); at++) lines.add(at);
  everyNode(node.body, (inner) => {
    if (!isFunction(inner)) return;
    for (let at = line(inner.getStart(tree)) + 1; at <= line(inner.end); at++) lines.delete(at);
  });
  return lines.size;
}

test('a function has at most 40 lines of its own, or a reason', () => {
  const long: string[] = [];
  for (const { name, tree } of sources) {
    everyNode(tree, (node) => {
      if (!isFunction(node)) return;
      const lines = ownLines(node, tree);
      if (lines > 40) long.push(`src/${name}.ts:${nameOf(node, tree)} (${lines} lines)`);
    });
  }
  const reasonOf = (entry: string): string | undefined => longFunctions[entry.replace(/ \(\d+ lines\)$/, '')];
  expect(long.filter((entry) => reasonOf(entry) === undefined)).toEqual([]);
  const stale = Object.keys(longFunctions).filter((key) => !long.some((entry) => entry.startsWith(`${key} (`)));
  expect(stale, 'listed as long, but not long').toEqual([]);
});

test('nothing is exported by star or as default', () => {
  const found = sources.flatMap((file) =>
    file.tree.statements
      .filter(
        (node) =>
          ts.isExportAssignment(node) ||
          (ts.isExportDeclaration(node) && (!node.exportClause || ts.isNamespaceExport(node.exportClause))) ||
          (ts.canHaveModifiers(node) &&
            ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword)),
      )
      .map((node) => place(file, node)),
  );
  expect(found).toEqual([]);
});

test('no module awaits while it loads, so that require() of the package works', () => {
  const found: string[] = [];
  for (const file of sources) {
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node)) return;
      if (ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier))
        found.push(place(file, node));
      ts.forEachChild(node, visit);
    };
    visit(file.tree);
  }
  expect(found).toEqual([]);
});

const entries = ['src/index.ts', 'src/server/index.ts'];

test('an entry point is a list of re-exports, without code', () => {
  const found = entries.flatMap((entry) => {
    const file = sources.find(({ name }) => `src/${name}.ts` === entry);
    if (!file) return [`${entry} is missing`];
    return file.tree.statements
      .filter((node) => !(ts.isExportDeclaration(node) && node.moduleSpecifier))
      .map((node) => place(file, node));
  });
  expect(found).toEqual([]);
});

/** The types of `src` alone: without those of Node and of packages, which take seconds, and say nothing about comments. */
function programOfSources(): ts.Program {
  const options: ts.CompilerOptions = { noLib: true, types: [], noEmit: true, allowImportingTsExtensions: true };
  const trees = new Map(sources.map(({ name, tree }) => [join(root, 'src', `${name}.ts`), tree]));
  return ts.createProgram(
    entries.map((entry) => join(root, entry)),
    options,
    {
      ...ts.createCompilerHost(options),
      getSourceFile: (path) => trees.get(normalize(path)),
      resolveModuleNameLiterals: (literals, importer) =>
        literals.map(({ text }) => {
          const resolvedFileName = join(dirname(importer), text);
          return {
            resolvedModule: text.startsWith('.') ? { resolvedFileName, extension: ts.Extension.Ts } : undefined,
          };
        }),
    },
  );
}

test('every public name has a doc comment', () => {
  const program = programOfSources();
  const checker = program.getTypeChecker();
  const found = entries.flatMap((entry) => {
    const tree = program.getSourceFile(join(root, entry));
    const module = tree && checker.getSymbolAtLocation(tree);
    if (!module) return [`${entry} exports nothing`];
    return checker
      .getExportsOfModule(module)
      .map((symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol))
      .filter((symbol) => ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim() === '')
      .map((symbol) => `${entry}: ${symbol.name} has no doc comment`);
  });
  expect(found).toEqual([]);
});

let compiled: Awaited<ReturnType<typeof compileSource>>;
beforeAll(async () => {
  compiled = await compileSource();
});
afterAll(() => compiled.remove());
const urlOf = (path: string): string => pathToFileURL(join(compiled.folder, path)).href;

/** What a fresh process prints that runs this module. */
async function printedBy(script: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: root,
    timeout: 15_000,
  });
  return stdout.trim();
}

/** Whether a fresh process has loaded undici once it has imported `specifier`. */
const loadsUndici = (specifier: string): Promise<string> =>
  printedBy(`
    import { createRequire } from 'node:module';
    await import(${JSON.stringify(specifier)});
    const files = Object.keys(createRequire(${JSON.stringify(import.meta.url)}).cache);
    console.log(files.some((file) => /[\\\\/]undici[\\\\/]/.test(file)) ? 'loaded' : 'not loaded');`);

test('importing the package does not load undici, whose import replaces the dispatcher of the process', async () => {
  expect(await loadsUndici('undici')).toBe('loaded');
  for (const entry of ['index.js', 'server/index.js']) {
    expect([entry, await loadsUndici(urlOf(entry))]).toEqual([entry, 'not loaded']);
  }
});

test('a request through undici leaves the fetch of the process as it is, also where it comes first', async () => {
  const printed = await printedBy(`
    import { createServer } from 'node:http';
    import { undiciTransport } from ${JSON.stringify(urlOf('http/undici.js'))};
    const server = createServer((request, response) => response.end('answered')).listen(0, '127.0.0.1');
    await new Promise((listening) => server.once('listening', listening));
    const url = 'http://127.0.0.1:' + server.address().port + '/';
    const transport = undiciTransport();
    const { body } = await transport({ method: 'GET', url });
    for await (const chunk of body) console.log(String(new TextDecoder().decode(chunk)));
    await transport.close();
    console.log(await fetch(url).then((response) => response.text(), String));
    server.closeAllConnections();
    server.close();`);
  expect(printed.split('\n')).toEqual(['answered', 'answered']);
});
