import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { patternsOf, slownessOf } from './support/patterns.ts';
import { plainReaders, plainShapes, readers, type TextReader, units } from './support/readers.ts';
import { readSources } from './support/sources.ts';

const sources = await readSources();

/** Why a pattern that the rule reports is linear on what it is given, by `path /pattern/flags`. */
const boundedPatterns: Readonly<Record<string, string>> = {
  [String.raw`http/header-fields /(?:^|,)\s*299\s+\S+\s+"((?:[^"\\]|\\.)*)"/g`]: 'the field is cut to 4,096 characters',
  [String.raw`app/config/values /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g`]:
    'the text has at most 6 parts of 21 characters',
};

test('no regular expression takes more than linear time, or it is given texts of bounded length', () => {
  const found = new Map<string, string>();
  for (const { place, literal } of sources.flatMap(patternsOf)) {
    const why = literal ? slownessOf(literal) : 'put together from what is not constant';
    if (why !== undefined) found.set(place.replace(/^src\/(.*?)\.ts:\d+/, '$1'), `${place}: ${why}`);
  }
  expect([...found].filter(([name]) => !boundedPatterns[name]).map(([, line]) => line)).toEqual([]);
  expect(Object.keys(boundedPatterns).filter((name) => !found.has(name))).toEqual([]);
});

test.each([
  String.raw`/:\/\/.*@/s`,
  String.raw`/^\s*server\s*=/m`,
  String.raw`/\s+$/`,
  String.raw`/a+b?a+$/`,
  String.raw`/(?:a+)+$/`,
  String.raw`/\.regctl.*\.json$/`,
  String.raw`/(?::\d+)+$/`,
  String.raw`/(?:x|<)[^>]*>/`,
])('the rule reports %s', (written) => {
  const end = written.lastIndexOf('/');
  expect(slownessOf({ source: written.slice(1, end), flags: written.slice(end + 1) })).toBeDefined();
});

test.each([
  String.raw`/^.*@/s`,
  String.raw`/\/\/[^/]*@/`,
  String.raw`/\?.*/s`,
  String.raw`/(?<!\/)\/+$/`,
  String.raw`/<[^<>]*>/`,
  String.raw`/[ \t]*=/y`,
  String.raw`/^[ \t]*server[ \t]*=/m`,
  String.raw`/[\s,]+/`,
])('the rule accepts %s', (written) => {
  const end = written.lastIndexOf('/');
  expect(slownessOf({ source: written.slice(1, end), flags: written.slice(end + 1) })).toBeUndefined();
});

/** Functions that read a text, or put one into a message, by the words that their names begin or end with. */
const readerName = /^(?:parse|read|decode|describe|quote|legible|expand|normalize|format|clean|redact|is)|Problem$/;
const textType = /^(?:string|unknown|Uint8Array)(?: \| (?:undefined|null|URL))*$/;

/** Why such a function has no test of its time. */
const untimed: Readonly<Record<string, string>> = {
  'body:readAll': 'its text is for messages; the body has its own tests',
  'cli/commands/image-manifest:parsedJson': 'JSON.parse alone',
  'cli/commands/image-manifest:readImage': 'sends requests',
  'cli/output:isWrong': 'reads no text',
  'config/files:readBytes': 'a path of this machine',
  'config/files:readNamed': 'a path of this machine',
  'config/own/read:parseText': 'timed by its formats',
  'config/k3s/tables:readSettings': 'of tables that were read',
  'errors:isError': 'reads no text',
  'files/layer-bytes:decoded': 'its text is a constant',
  'http/address:isAllowed': 'an address of the system',
  'http/address:addressProblem': 'a host of a URL, at most 253 characters',
  'http/connection-error:isRefusal': 'reads no text',
  'http/connection-error:isUnreachable': 'reads no text',
  'remote/exchange:readDocumentAt': 'sends requests',
  'remote/exchange:readUnlessKnown': 'sends requests',
  'remote/response:decode': 'its field is read by parseEncodings',
  'server/redirect/front-file:readFrontFiles': 'a path of this machine',
  'server/tokens/bearer:readText': 'a path of this machine',
  'store/file-io:readFile': 'a path of this machine',
  'store/file-io:readPart': 'a path of this machine',
  'text/problems:firstProblem': 'of a document that was read',
  'config/own/read:readSettings': 'timed by those that call it, such as readOwnConfig',
  'app/config/read:readAppFile': 'of a file whose text is read by timed readers',
  'server/s3/entries:readEntry': 'of an object whose text is read by timed readers',
  'testing/archive:isBytes': 'looks at the kind of a value alone',
};

test('every function that reads a text is timed, or has a reason not to be', async () => {
  const timed = new Set((await allReaders()).map(({ name }) => name));
  const found = sources.flatMap(({ name, tree }) =>
    exportedFunctions(tree)
      .filter(
        ([called, { parameters }]) =>
          readerName.test(called) && parameters.some(({ type }) => textType.test(type?.getText(tree) ?? '')),
      )
      .map(([called]) => `${name}:${called}`),
  );
  expect(found.filter((called) => !timed.has(called) && !untimed[called])).toEqual([]);
  expect(Object.keys(untimed).filter((called) => !found.includes(called))).toEqual([]);
});

function exportedFunctions(tree: ts.SourceFile): [string, ts.SignatureDeclaration][] {
  return tree.statements.flatMap((node): [string, ts.SignatureDeclaration][] => {
    const isExported =
      ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
    if (!isExported) return [];
    if (ts.isFunctionDeclaration(node)) return [[node.name?.text ?? '', node]];
    if (!ts.isVariableStatement(node)) return [];
    return node.declarationList.declarations.flatMap(({ name, initializer }): [string, ts.SignatureDeclaration][] =>
      initializer && ts.isArrowFunction(initializer) ? [[name.getText(tree), initializer]] : [],
    );
  });
}

interface NamedReader extends TextReader {
  /** `oci/scope:parseScope` */
  readonly name: string;
}

async function allReaders(): Promise<NamedReader[]> {
  const plain = Object.entries(plainReaders).map(async ([path, names]) => {
    const module = (await import(pathToFileURL(`src/${path}.ts`).href)) as Record<string, (text: string) => unknown>;
    return names.map((name) => ({
      name: `${path}:${name}`,
      read: (text: string) => module[name]?.(text),
      shapes: plainShapes[path] ?? [{}],
    }));
  });
  return [
    ...(await Promise.all(plain)).flat(),
    ...Object.entries(readers).map(([name, reader]) => ({ name, ...reader })),
  ];
}

async function timeOf(read: TextReader['read'], text: string): Promise<number> {
  const started = performance.now();
  try {
    const result = read(text);
    if (result instanceof Promise) await result;
  } catch {
    // Most of these texts are refused.
  }
  return performance.now() - started;
}

/** How much longer four times the text takes. The least times count, as others may run on this machine meanwhile. */
async function growth(read: TextReader['read'], textOf: (length: number) => string, length: number): Promise<number> {
  const [short, long] = [textOf(length / 4), textOf(length)];
  let least = { short: Number.POSITIVE_INFINITY, long: Number.POSITIVE_INFINITY };
  for (let round = 0; round < 6 && !(least.long / least.short < mostGrowth); round += 1) {
    least = {
      short: Math.min(least.short, await timeOf(read, short)),
      long: Math.min(least.long, await timeOf(read, long)),
    };
  }
  return least.long / least.short;
}

const mostGrowth = 6;
/** Milliseconds for the longer text that only something slow takes, so that its growth is measured. */
const suspicious = 25;

for (const { name, read, shapes = [{}], length = 8_192 } of await allReaders()) {
  test(`the time of ${name} grows no faster than its text`, async () => {
    for (const { before = '', after = '', units: some = units } of shapes) {
      for (const unit of some) {
        const textOf = (size: number): string => before + unit.repeat(size / unit.length) + after;
        if ((await timeOf(read, textOf(length))) < suspicious) continue;
        if ((await growth(read, textOf, length)) < mostGrowth) continue;
        // Memory that is filled for the first time may make it more, but not as much as the 16 of a square, and not twice.
        expect(await growth(read, textOf, 4 * length), JSON.stringify({ before, unit })).toBeLessThan(10);
      }
    }
  });
}
