import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { everyNode, lineOf, placeOf, readSources, type SourceFile, targetOf } from './support/sources.ts';

/**
 * The rules for files, functions and names of CONTRIBUTING.md. They serve the reader: if one makes a file worse, add the
 * exception and its reason to the rule's list; do not cut or glue code to please a number.
 */
const sources = await readSources();
const root = fileURLToPath(new URL('..', import.meta.url));
const linesOf = ({ text }: SourceFile): number => text.trimEnd().split('\n').length;

/** Why a file has more than 300 lines. More than 400 are never allowed. */
const longFiles: Readonly<Record<string, string>> = {
  'store/layout': 'the methods of one store over the same parts',
  source: 'the one shape of sources and stores, with each ability that they may have',
  errors: 'the one class of errors, with every code, reason and fact',
};

/** Why a file has fewer than 60 lines and fewer than three importers. Commands need no reason. */
const smallFiles: Readonly<Record<string, string>> = {
  'testing/index': 'a public entry',
  'app/file/access': 'the access check of a file, which loads what it needs',
  'app/file/redis': 'the Redis of a file, which is loaded then',
  'store/memory/checked-chunks': 'shared by stores that verify what is pushed before they keep it',
  'server/settings-file': 'boundary of a lazy load: the reader of files',
  'server/redis/index': 'a public entry',
  'server/redis/locks': 'public: locks of several processes',
  'server/htpasswd/index': 'a public entry',
  'server/htpasswd/parse': 'a file of another tool',
  'server/metrics/index': 'a public entry',
  'server/s3/index': 'a public entry',
  'server/tokens/index': 'a public entry',
  'server/tokens/chain': 'one idea: whether a chain of certificates proves a key',
  'server/s3/upload-hash': 'what is remembered between two requests of an upload',
  'app/mirror-lines': 'what is printed for other tools, loaded with a mirror',
  'http/load-undici': 'boundary of a lazy load: undici',
  'server/redirect/load-front': 'boundary of a lazy load: the file of a front',
  'server/redirect/locations': 'public: the rule of a front, for `serve`',
  'server/redirect/front-file': 'the file, apart from what it says',
  'remote/log': 'a wrapper',
  'remote/trust': 'a wrapper',
  'remote/namespace': 'a wrapper',
  'http/lateness': 'a wrapper',
  standing: 'one idea: who is asked last for a while',
  'http/discretion': 'a wrapper',
  'config/redact-config': 'public: what a program may print',
  'config/load': 'boundary of a lazy load: everything that reads files',
  'config/own/write': 'boundary of a lazy load; every format has a read and a write',
  'config/containers/load': 'boundary of a lazy load: the files of /etc/containers',
  'store/open-layout': 'boundary of a lazy load: a directory that is to be written',
  'content/wrong-bytes': 'one idea, used for memory and for stores',
  'registry/memory-registry': 'a registry of its own; every kind has a file',
  'content/verified-body': 'one idea, for the cache and for the server',
  'server/mirror/upstreams': 'one idea: which registry a name means',
};

/** Folders of the second level, each named after a tool or a role. */
const innerFolders = [
  'app/config',
  'app/file',
  'cli/commands',
  'cli/doctor',
  'cli/progress',
  'cli/serve',
  'config/containerd',
  'config/containers',
  'config/docker',
  'config/document',
  'config/k3s',
  'config/own',
  'config/regctl',
  'http/response',
  'http/socket',
  'server/access',
  'server/htpasswd',
  'server/metrics',
  'server/mirror',
  'server/node',
  'server/notifications',
  'server/redirect',
  'server/redis',
  'server/registry',
  'server/s3',
  'server/tokens',
  'store/memory',
  'store/push',
  'store/reading',
];

/** Why a function has more than 40 lines of its own, or 90 with those inside it, by `path:name`. */
const longFunctions: Readonly<Record<string, string>> = {
  'store/layout:createLayout': 'the methods of one store over the same parts',
  'store/node-files:nodeFiles': 'the methods of one interface, a few lines each',
};

/**
 * Files that read the text of an error, and why: to format another message, or because it is of a library that has no
 * codes. Everything else uses fields.
 */
const messageReaders: Readonly<Record<string, string>> = {
  'app/config/read': 'formats that of a schema',
  'app/printable': 'prints it',
  cause: 'removes secrets from it',
  errors: 'messageOf, by which all others format it',
  'cli/commands/config-check': 'prints it',
  'cli/commands/config-convert': 'formats the error of the system',
  'cli/doctor/examine': 'prints it if nothing else was found',
  'cli/doctor/probes': 'prints it',
  'cli/exit-codes': 'formats the error of the system',
  'cli/failure': 'prints it',
  'cli/progress/lines': 'prints it if nothing else was found',
  'cli/serve/serve': 'formats the error of the system',
  'config/document/toml': "smol-toml's errors have no codes",
  'config/document/yaml': "formats the parser's problem without what it quotes of the file",
  'config/files': 'formats the error of the system',
  'config/parse-config': "formats the schema's own problems",
  'config/pem': 'formats the error of the system',
  'http/connection-error': "formats the runtime's errors; a failed write has OpenSSL's reason only there",
  'http/error-body': 'the field of that name in the body of an error',
  'server/redirect/cloud-ranges': "formats the schema's own problems",
  'server/redirect/front-options': "formats the schema's own problems",
  'server/registry/problem': 'the message of a response, not of an error',
  'text/problems': "formats the schema's own problems",
};

/** Suites that cover a file of more than 60 lines without a test file of its own. */
const coveredBy: Readonly<Record<string, string>> = {
  'cached/chunk-queue': 'cached/cached',
  'server/node/request': 'server/listen',
  'server/node/connections': 'server/listen',
  'store/reading/file-body': 'store/layout',
  'store/reading/small': 'server/registry/prompt',
  'server/node/send': 'server/listen',
  'app/page-parts': 'app/page',
  'app/page-route': 'app/page',
  'app/site': 'app/server',
  'cached/download': 'cached/cached',
  'store/store-error': 'store/disk-errors',
  'app/config/context': 'app/file/app',
  'app/file/health': 'app/file/app',
  'app/file/middleware': 'app/file/app',
  'app/file/request-log': 'app/file/app',
  'app/file/storage': 'app/file/app',
  'app/config/overrides': 'app/config/read',
  'app/config/registry-node': 'app/config/read',
  'app/config/schema': 'app/config/read',
  'app/config/values': 'app/config/read',
  'server/notifications/endpoint': 'server/notifications/notifications',
  'server/notifications/envelope': 'server/notifications/notifications',
  'server/htpasswd/bcrypt': 'server/htpasswd/htpasswd',
  'server/tokens/key-set-url': 'server/tokens/bearer',
  'server/tokens/keys': 'server/tokens/bearer',
  'server/tokens/verify': 'server/tokens/bearer',
  'server/s3/append': 'server/s3/registry',
  'server/s3/blobs': 'server/s3/registry',
  'server/s3/bucket': 'server/s3/registry',
  'server/s3/compose': 'server/s3/registry',
  'server/s3/entries': 'server/s3/registry',
  'server/s3/objects': 'server/s3/registry',
  'server/s3/repository': 'server/s3/registry',
  'server/s3/uploads': 'server/s3/registry',
  'content/part': 'content/split-reading',
  'content/parts': 'content/split-reading',
  'cli/command': 'cli/main',
  'cli/commands': 'cli/main',
  'cli/commands/config-check': 'cli/commands/config',
  'cli/commands/config-convert': 'cli/commands/config',
  'cli/commands/config-show': 'cli/commands/config',
  'cli/commands/image-manifest': 'cli/commands/manifest',
  'cli/commands/ls': 'cli/commands/files',
  'cli/commands/referrers': 'cli/commands/lists',
  'cli/commands/verify': 'cli/commands/layout',
  'cli/doctor/examine': 'cli/doctor/doctor',
  'cli/doctor/probes': 'cli/doctor/doctor',
  'cli/help': 'cli/main',
  'cli/login-helpers': 'cli/doctor/doctor',
  'cli/output': 'cli/io',
  'files/sparse': 'files/tar',
  'files/tar-header': 'files/tar',
  'cli/parse': 'cli/main',
  'cli/progress/screen': 'cli/progress/lines',
  'cli/progress/transfer': 'cli/progress/lines',
  'cli/progress/watch': 'cli/progress/lines',
  'codec/byte-reader': 'codec/portable',
  'config/read-texts': 'config/load-files',
  'codec/codec': 'codec/codecs',
  'codec/gzip': 'codec/portable',
  'codec/zstd': 'codec/portable',
  'config/containerd/write': 'config/convert',
  'config/containers/registry': 'config/containers/read',
  'config/document/decoders': 'config/containerd/read',
  'config/document/file-report': 'config/all-problems',
  'config/k3s/tables': 'config/k3s/read',
  'config/k3s/write': 'config/convert',
  'config/losses': 'config/convert',
  'config/merge': 'config/load',
  'config/model': 'config/parse-config',
  'config/regctl/hosts': 'config/regctl/read',
  'config/schema': 'config/parse-config',
  'config/settings': 'config/json-schema',
  'config/usual-places': 'config/load',
  'content/cursor': 'content/content',
  'content/readings': 'content/content',
  'content/resume': 'content/breaks',
  'copy/blob': 'copy/failures',
  'copy/choose': 'copy/platforms',
  'copy/copy-state': 'copy/copy',
  'copy/documents': 'copy/copy',
  'copy/walk': 'copy/copy',
  'files/layer-bytes': 'files/layer',
  'files/layer-file': 'files/layer',
  'files/locate': 'files/layer',
  'files/toc-rows': 'files/toc',
  index: 'examples',
  'registry/changed': 'registry/restricted',
  'registry/writes-to-both': 'registry/union',
  'remote/endpoint-source': 'remote/repository',
  'remote/exchange': 'remote/resolve',
  'remote/resolution': 'remote/resolve',
  'remote/lists': 'remote/tags',
  'server/access/token-endpoint': 'server/access/tokens',
  'server/mirror/activity': 'server/mirror/pull-through',
  'server/mirror/contents': 'server/mirror/bounded-store',
  'server/mirror/fresh-tags': 'server/mirror/vectors',
  'server/redirect/buckets': 'server/redirect/front',
  'server/redirect/front-options': 'server/redirect/front',
  'server/registry/content': 'server/registry/serve',
  'server/registry/exchange': 'server/registry/serve',
  'server/registry/manifests': 'server/registry/serve',
  'server/registry/problem': 'server/registry/serve',
  source: 'docs',
  'store/blobs': 'store/layout',
  'store/memory/uploads': 'store/memory',
  'store/uploads': 'store/layout',
  'store/entries': 'store/layout',
  'store/file-io': 'store/push',
  'store/files': 'store/hostile-layout',
  'store/guarded-files': 'store/hostile-layout',
  'store/index-file': 'store/layout',
  'store/node-files': 'store/disk-errors',
  'store/push/place-file': 'store/push/small-content',
  'store/push/task': 'store/push',
  'store/session': 'store/garbage',
  'store/verified': 'copy/layout',
  'store/walk': 'store/garbage',
  'testing/exchange': 'testing/test-registry',
  'testing/faults': 'testing/script',
  'testing/faulty-response': 'testing/test-registry',
  'testing/faulty-server': 'testing/test-registry',
};

test('a file has at most 300 lines, or 400 and a reason', () => {
  const found = sources.filter((file) => linesOf(file) > (longFiles[file.name] ? 400 : 300));
  expect(found.map((file) => `${file.name} has ${linesOf(file)} lines`)).toEqual([]);
  const isLong = (name: string): boolean => sources.some((file) => file.name === name && linesOf(file) > 300);
  expect(Object.keys(longFiles).filter((name) => !isLong(name))).toEqual([]);
});

test('a file of fewer than 60 lines has three importers, is a command, or has a reason', () => {
  const importers = new Map<string, number>();
  for (const file of sources) {
    const targets = new Set(file.imports.map(({ specifier }) => targetOf(file, specifier)));
    for (const target of targets) if (target !== undefined) importers.set(target, (importers.get(target) ?? 0) + 1);
  }
  const isSatellite = (file: SourceFile): boolean =>
    linesOf(file) < 60 && (importers.get(file.name) ?? 0) < 3 && !file.name.startsWith('cli/commands/');
  const found = sources.filter((file) => isSatellite(file) && !smallFiles[file.name]);
  expect(found.map((file) => `${file.name} has ${linesOf(file)} lines`)).toEqual([]);
  const isListed = (name: string): boolean => sources.some((file) => file.name === name && isSatellite(file));
  expect(Object.keys(smallFiles).filter((name) => !isListed(name))).toEqual([]);
});

test('a folder has at most 20 files, and is two deep only for a tool or a role', () => {
  const folders = new Map<string, number>();
  for (const { name } of sources) {
    const folder = name.split('/').slice(0, -1).join('/');
    folders.set(folder, (folders.get(folder) ?? 0) + 1);
  }
  expect([...folders].filter(([, files]) => files > 20)).toEqual([]);
  const inner = [...folders.keys()].filter((folder) => folder.includes('/')).sort();
  expect(inner).toEqual(innerFolders);
});

test('the name of an exported type is declared in one file', () => {
  const declared = new Map<string, string[]>();
  for (const { name, tree } of sources) {
    for (const node of tree.statements) {
      const isType = ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) || ts.isClassDeclaration(node);
      if (!isType || !node.name || !isExported(node)) continue;
      declared.set(node.name.text, [...(declared.get(node.name.text) ?? []), name]);
    }
  }
  expect([...declared].filter(([, files]) => files.length > 1)).toEqual([]);
});

const isExported = (node: ts.Node): boolean =>
  ts.canHaveModifiers(node) &&
  (ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false);

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

/** Lines of a function with those of the functions inside it, and without them. */
function lengthsOf(node: FunctionWithBody, tree: ts.SourceFile): { readonly all: number; readonly own: number } {
  const lines = new Set<number>();
  const line = (position: number): number => tree.getLineAndCharacterOfPosition(position).line;
  for (let at = line(node.getStart(tree)); at <= line(node.end); at++) lines.add(at);
  const all = lines.size;
  everyNode(node.body, (inner) => {
    if (!isFunction(inner)) return;
    for (let at = line(inner.getStart(tree)) + 1; at <= line(inner.end); at++) lines.delete(at);
  });
  return { all, own: lines.size };
}

test('a function has at most 40 lines of its own and 90 with those inside it, or a reason', () => {
  const long: string[] = [];
  for (const { name, tree } of sources) {
    everyNode(tree, (node) => {
      if (!isFunction(node)) return;
      const { all, own } = lengthsOf(node, tree);
      if (own > 40 || all > 90) long.push(`${name}:${nameOf(node, tree)} (${own} lines, ${all} in all)`);
    });
  }
  const reasonOf = (entry: string): string | undefined => longFunctions[entry.replace(/ \(.*$/, '')];
  expect(long.filter((entry) => reasonOf(entry) === undefined)).toEqual([]);
  expect(Object.keys(longFunctions).filter((key) => !long.some((entry) => entry.startsWith(`${key} (`)))).toEqual([]);
});

/** Methods that change what they are called on. */
const changing = new Set([
  'push',
  'pop',
  'shift',
  'unshift',
  'splice',
  'sort',
  'reverse',
  'set',
  'add',
  'delete',
  'clear',
]);

/** What a predicate must not do: throw, wait, or change anything that it did not make itself. */
function effectOf(node: FunctionWithBody, tree: ts.SourceFile): string | undefined {
  const own = new Set<string>();
  const effects: string[] = [];
  const rootOf = (expression: ts.Node): string => {
    let inner = expression;
    while (ts.isPropertyAccessExpression(inner) || ts.isElementAccessExpression(inner)) inner = inner.expression;
    return ts.isIdentifier(inner) ? inner.text : '';
  };
  everyNode(node.body, (inner) => {
    if ((ts.isVariableDeclaration(inner) || ts.isBindingElement(inner)) && ts.isIdentifier(inner.name)) {
      own.add(inner.name.text);
    }
  });
  everyNode(node.body, (inner) => {
    if (ts.isThrowStatement(inner)) effects.push('throws');
    const isAssignment =
      ts.isBinaryExpression(inner) &&
      inner.operatorToken.kind >= ts.SyntaxKind.FirstAssignment &&
      inner.operatorToken.kind <= ts.SyntaxKind.LastAssignment;
    if (isAssignment && !own.has(rootOf(inner.left))) effects.push(`assigns ${inner.left.getText(tree)}`);
    const isStep =
      (ts.isPostfixUnaryExpression(inner) || ts.isPrefixUnaryExpression(inner)) &&
      [ts.SyntaxKind.PlusPlusToken, ts.SyntaxKind.MinusMinusToken].includes(inner.operator);
    if (isStep && !own.has(rootOf(inner.operand))) effects.push(`steps ${inner.operand.getText(tree)}`);
    if (!ts.isCallExpression(inner) || !ts.isPropertyAccessExpression(inner.expression)) return;
    const { expression, name } = inner.expression;
    const isOutside = ts.isIdentifier(expression)
      ? !own.has(expression.text)
      : ts.isPropertyAccessExpression(expression);
    if (isOutside && changing.has(name.text)) effects.push(`calls ${inner.expression.getText(tree)}`);
  });
  return effects[0];
}

/** Why a predicate may have an effect: what it remembers for itself. */
const impurePredicates: Readonly<Record<string, string>> = {};

test('a function called is… or has… is pure', () => {
  const found: string[] = [];
  for (const file of sources) {
    everyNode(file.tree, (node) => {
      if (!isFunction(node)) return;
      const name = nameOf(node, file.tree);
      if (!/^(?:is|has)[A-Z]/.test(name) || impurePredicates[`${file.name}:${name}`]) return;
      const effect = effectOf(node, file.tree);
      if (effect) found.push(`${placeOf(file, node)} ${name} ${effect}`);
    });
  }
  expect(found).toEqual([]);
});

test('no code reads the text of an error, but to format another', () => {
  const found = new Map<string, string>();
  for (const file of sources) {
    everyNode(file.tree, (node) => {
      const isRead = ts.isPropertyAccessExpression(node) && node.name.text === 'message';
      const isTaken = ts.isBindingElement(node) && (node.propertyName ?? node.name).getText(file.tree) === 'message';
      if (isRead || isTaken) found.set(file.name, placeOf(file, node));
    });
  }
  expect([...found].filter(([name]) => !messageReaders[name]).map(([, place]) => place)).toEqual([]);
  expect(Object.keys(messageReaders).filter((name) => !found.has(name))).toEqual([]);
});

test('a file of more than 60 lines has a test file of its name, or a suite that covers it', () => {
  const isTest = (name: string): boolean => existsSync(join(root, 'test', `${name}.test.ts`));
  const untested = sources.filter((file) => linesOf(file) > 60 && !isTest(file.name)).map(({ name }) => name);
  expect(untested.filter((name) => !coveredBy[name])).toEqual([]);
  expect(Object.entries(coveredBy).filter(([name, suite]) => !untested.includes(name) || !isTest(suite))).toEqual([]);
});
