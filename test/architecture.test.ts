import { execFile } from 'node:child_process';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileSource } from './support/compiled.ts';
import { everyNode, groupOf, placeOf, readSources, targetOf } from './support/sources.ts';

const sources = await readSources();

const root = fileURLToPath(new URL('..', import.meta.url));

/** Path below src without `.ts` → the paths it may import, besides its own folder. A folder stands for all its files. */
const lowest = ['runtime', 'bounded-map', 'pile', 'redaction', 'cause', 'endpoint', 'login', 'proxy', 'errors', 'load'];
const comparisons = ['standing', 'contest'];
const contracts = [...lowest, 'text', 'oci', 'source', 'events', 'abort', 'body'];
const places = [
  ...contracts,
  'codec',
  'config',
  'http',
  'combine',
  ...comparisons,
  'content',
  'copy',
  'cached',
  'files',
  'store',
];
const mayImport: Readonly<Record<string, readonly string[]>> = {
  runtime: [],
  'bounded-map': [],
  pile: [],
  redaction: ['bounded-map', 'login'],
  cause: ['redaction'],
  endpoint: ['runtime', 'redaction'],
  login: [],
  proxy: [],
  errors: ['runtime', 'redaction', 'cause', 'endpoint'],
  load: ['runtime', 'errors'],
  text: lowest,
  oci: [...lowest, 'text'],
  source: [...lowest, 'oci'],
  events: [...lowest, 'oci'],
  abort: lowest,
  body: [...lowest, 'oci', 'source', 'abort'],
  codec: contracts,
  config: contracts,
  http: contracts,
  standing: ['bounded-map'],
  contest: [...contracts, 'standing'],
  combine: [...contracts, 'contest'],
  content: [...contracts, 'combine'],
  copy: [...contracts, 'combine', 'content'],
  cached: [...contracts, 'combine', 'content'],
  files: [...contracts, 'codec', 'combine', 'content'],
  store: contracts,
  registry: places,
  remote: places,
  server: [...places, 'registry', 'remote'],
  testing: [...contracts, 'store', 'registry', 'server'],
  index: [...places, 'registry', 'remote'],
  app: ['index', 'server'],
  cli: ['index', 'app'],
};

/** Files that may import `node:` modules at run time; everything else loads in any runtime. A slash at the end: a folder. */
const nodeFiles = [
  'http/undici',
  'codec/native',
  'store/',
  'cli/',
  'app/',
  'server/htpasswd/',
  'server/listen',
  'server/node/',
  'server/tokens/',
  'server/notifications/',
  'testing/faulty-server',
];
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

/** Names of lists of places. Only combine.ts asks them one by one; elsewhere such lists are mapped and filtered. */
const placeLists = /(?:^|[a-z_])(?:endpoints|hosts|sources|mirrors|urls)$/i;

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

test('a program made of server parts imports public entries only, and the command line loads it when it is run', () => {
  const found = sources.flatMap((file) =>
    file.imports.flatMap(({ specifier, dynamic, typeOnly }) => {
      const target = targetOf(file, specifier);
      const [from, to] = [groupOf(file.name), groupOf(target ?? '')];
      const isInner = from === 'app' && to === 'server' && !/^server\/(?:\w+\/)?index$/.test(target ?? '');
      const isEarly = from === 'cli' && to === 'app' && !dynamic && !typeOnly;
      return isInner || isEarly ? [`src/${file.name}.ts imports src/${target}.ts`] : [];
    }),
  );
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

/**
 * Classes of the runtime: a VM context, as Jest and vitest's VM pools make one, has its own, and Node's objects there are
 * of others. Libraries of the DOM replace some. What a value is, is seen by what it has: `isError`, `systemCode`, a `then`.
 */
const runtimeClasses = [
  /^(?:[A-Z][a-z]+)?Error$|^DOMException$/,
  /^(?:Shared)?ArrayBuffer$|^DataView$|^Buffer$|Array$/,
  /^(?:Promise|Date|RegExp|Object|Function|Map|Set|WeakMap|WeakSet)$/,
  /^(?:URL|URLSearchParams|Blob|FormData|Headers|Request|Response|Event|EventTarget|Abort(?:Signal|Controller))$/,
  /Stream$|^Readable$|^EventEmitter$/,
];
/** The classes of this package that are named like one of the runtime. */
const ownErrors = ['RegistryError', 'OutputError', 'UsageError', 'TomlError'];
/** Where a class of the runtime may be recognized by its constructor, and why. */
const oneRealm: Readonly<Record<string, string>> = {
  'cli/': 'a program of its own: everything in it is of one realm',
  'app/': 'the same',
  'server/registry/manifests': 'a response that the function before has made itself',
};

test('no value from outside is recognized by a class of the runtime, of which each realm has its own', () => {
  const found: string[] = [];
  for (const file of sources) {
    if (
      Object.keys(oneRealm).some((place) => (place.endsWith('/') ? file.name.startsWith(place) : file.name === place))
    )
      continue;
    everyNode(file.tree, (node) => {
      if (!ts.isBinaryExpression(node) || node.operatorToken.kind !== ts.SyntaxKind.InstanceOfKeyword) return;
      const name = node.right.getText(file.tree).replace(/^.*\./, '');
      if (ownErrors.includes(name) || !runtimeClasses.some((pattern) => pattern.test(name))) return;
      found.push(`${placeOf(file, node)} has ${node.getText(file.tree)}`);
    });
  }
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
        found.push(`${placeOf(file, node)} loops over ${node.expression.getText(file.tree)}`);
      }
    });
  }
  expect(found).toEqual([]);
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
      .map((node) => placeOf(file, node)),
  );
  expect(found).toEqual([]);
});

test('no module awaits while it loads, so that require() of the package works', () => {
  const found: string[] = [];
  for (const file of sources) {
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node)) return;
      if (ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier))
        found.push(placeOf(file, node));
      ts.forEachChild(node, visit);
    };
    visit(file.tree);
  }
  expect(found).toEqual([]);
});

const entries = ['src/index.ts', 'src/server/index.ts', 'src/testing/index.ts'];

test('an entry point is a list of re-exports, without code', () => {
  const found = entries.flatMap((entry) => {
    const file = sources.find(({ name }) => `src/${name}.ts` === entry);
    if (!file) return [`${entry} is missing`];
    return file.tree.statements
      .filter((node) => !(ts.isExportDeclaration(node) && node.moduleSpecifier))
      .map((node) => placeOf(file, node));
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
  for (const entry of ['index.js', 'server/index.js', 'testing/index.js']) {
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
