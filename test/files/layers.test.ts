import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RegistryError } from '../../src/errors.ts';
import type { ImageFiles } from '../../src/files/image-files.ts';
import { errorOf } from '../support/hosts.ts';
import { image, imageOf, listed, read, tarLayer } from '../support/images.ts';
import { runs } from '../support/runs.ts';

test('layers are read from the top down, and no further than the file', async () => {
  const { files, fetches } = await image(['a=1'], ['b=1', '.wh.c'], ['c=1', 'd=1']);
  expect([await read(files, 'c'), fetches()]).toEqual(['1', [0, 0, 1]]);
  expect([await read(files, 'b'), fetches()]).toEqual(['1', [0, 1, 2]]);
  expect([await read(files, 'b'), fetches()]).toEqual(['1', [0, 2, 2]]);
  const hidden = await image(['c=1'], ['.wh.c']);
  expect((await errorOf(hidden.files.open('c'))).code).toBe('NOT_FOUND');
  expect(hidden.fetches()).toEqual([0, 1]);
});

test('after a list only the layer with the file is read', async () => {
  const { files, fetches } = await image(['a=1', 'l->a'], ['b=1'], ['c=1']);
  await listed(files);
  expect([await read(files, 'l'), fetches()]).toEqual(['1', [2, 1, 1]]);
  await listed(files);
  expect(fetches()).toEqual([2, 1, 1]);
});

test('more entries than are allowed are TOO_LARGE', async () => {
  const layers = [tarLayer('a=1', 'b=1'), tarLayer('c=1')];
  const error = await errorOf(listed((await imageOf(layers, 2)).files));
  expect([error.code, error.reason]).toEqual(['TOO_LARGE', 'limit']);
  expect((await errorOf((await imageOf(layers, 2)).files.open('b'))).code).toBe('TOO_LARGE');
  expect(await read((await imageOf(layers, 2)).files, 'c')).toBe('1');
  expect((await listed((await imageOf(layers, 3)).files)).length).toBe(3);
});

const names = ['a', 'b', 'c'];
const somePath = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const universe = names.flatMap((a) => [
  a,
  ...names.flatMap((b) => [`${a}/${b}`, ...names.map((c) => `${a}/${b}/${c}`)]),
]);
const whiteoutOf = (path: string): string => path.replace(/[^/]+$/, (name) => `.wh.${name}`);
const parentsOf = (path: string): string[] => {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
};

/** An entry of a layer. No path is twice in one, unless it is also a directory. */
const someEntry = fc.record({
  path: somePath,
  kind: fc.constantFrom('file', 'file', 'directory', 'hardlink', 'whiteout', 'opaque'),
  target: somePath,
});
const someEntries = fc.uniqueArray(someEntry, {
  maxLength: 7,
  selector: ({ path, kind }) => `${path} ${kind === 'whiteout'}`,
});
type Drawn = typeof someEntry extends fc.Arbitrary<infer T> ? T : never;

/** Left out: files that a later entry of the layer makes a directory, which `open` alone cannot know. */
function withoutDuplicates(entries: readonly Drawn[]): Drawn[] {
  const made = entries.filter(({ kind }) => kind !== 'whiteout' && kind !== 'opaque');
  const directories = new Set(
    made.flatMap(({ path, kind }) => (kind === 'directory' ? [path] : parentsOf(path)).concat(parentsOf(path))),
  );
  return entries.filter(({ path, kind }) => (kind !== 'file' && kind !== 'hardlink') || !directories.has(path));
}

const lineOf = ({ path, kind, target }: Drawn, number: number): string => {
  if (kind === 'directory') return `${path}/`;
  if (kind === 'whiteout') return whiteoutOf(path);
  if (kind === 'opaque') return `${path}/.wh..wh..opq`;
  return kind === 'file' ? `${path}=${number}:${path}` : `${path}=>${target}`;
};

/** The content of files, and of hard links; undefined of directories, null of hard links that are broken. */
type Unpacked = Map<string, string | undefined | null>;

/** What unpacking layers one after the other makes: whiteouts first, then the entries. */
function unpackedModel(layers: readonly (readonly Drawn[])[]): Unpacked {
  let state: Unpacked = new Map();
  for (const [number, layer] of layers.entries()) {
    const lower = new Map(state);
    for (const { path, kind } of layer) {
      if (kind !== 'whiteout' && kind !== 'opaque') continue;
      for (const other of [...state.keys()]) {
        if (other.startsWith(`${path}/`) || (kind === 'whiteout' && other === path)) state.delete(other);
      }
    }
    const own: Unpacked = new Map();
    const later: Drawn[] = [];
    for (const entry of layer) {
      const { path, kind, target } = entry;
      if (kind === 'whiteout' || kind === 'opaque') continue;
      for (const parent of parentsOf(path)) own.set(parent, undefined);
      if (kind === 'file') own.set(path, `${number}:${path}`);
      else if (kind === 'directory') own.set(path, undefined);
      else {
        const content = own.get(target) === undefined ? lower.get(target) : own.get(target);
        own.set(path, content ?? null);
        if (typeof content !== 'string') later.push(entry);
      }
    }
    const merged: Unpacked = new Map(state);
    for (const [path, content] of [...own].sort(([a], [b]) => a.length - b.length)) {
      const wasDirectory = merged.has(path) && merged.get(path) === undefined;
      if (content !== undefined || !wasDirectory)
        for (const other of [...merged.keys()])
          if (other.startsWith(`${path}/`) && !(content === undefined && own.has(other))) merged.delete(other);
      merged.set(path, content);
    }
    for (let round = 0; round < later.length; round++) {
      for (const { path, target } of later) merged.set(path, merged.get(target) ?? null);
    }
    state = merged;
  }
  return state;
}

test('list and open agree with unpacking one layer after the other, whichever is called first', async () => {
  const layers = fc.array(someEntries.map(withoutDuplicates), { minLength: 1, maxLength: 4 });
  const seen = { links: 0 };
  await fc.assert(
    fc.asyncProperty(layers, fc.boolean(), async (drawn, listsFirst) => {
      const model = unpackedModel(drawn);
      const { files } = await image(...drawn.map((layer, number) => layer.map((entry) => lineOf(entry, number))));
      const opened = async () => {
        for (const path of universe) {
          const content = model.get(path);
          const expected =
            content ?? (content === null ? 'DECODE_ERROR' : model.has(path) ? 'UNSUPPORTED' : 'NOT_FOUND');
          expect([path, await read(files, path).catch(({ code }: RegistryError) => code)]).toEqual([path, expected]);
        }
      };
      const lists = async () => {
        const found = (await listed(files)).map(({ path, type }) => [path, type === 'directory']);
        const byNames = (path: string) => path.replaceAll('/', '\0');
        const expected = [...model].sort(([a], [b]) => (byNames(a) < byNames(b) ? -1 : 1));
        expect(found).toEqual(expected.map(([path, content]) => [path, content === undefined]));
      };
      if (listsFirst) await lists();
      await opened();
      await lists();
      await opened();
      seen.links += drawn.flat().filter(({ kind }) => kind === 'hardlink').length;
    }),
    runs(40),
  );
  expect(seen.links).toBeGreaterThan(10);
});

const somePart = fc
  .record({
    path: somePath,
    kind: fc.constantFrom('=', '=', '->', '->/', '->../', '=>', '/', 'whiteout', 'opaque'),
    other: somePath,
  })
  .map(({ path, kind, other }) => {
    if (kind === 'whiteout') return whiteoutOf(path);
    if (kind === 'opaque') return `${path}/.wh..wh..opq`;
    return kind === '/' ? `${path}/` : `${path}${kind}${other}`;
  });

test('whatever links, whiteouts and duplicates there are, verify finds the same as if all is known, or refuses', async () => {
  const layers = fc.array(fc.array(somePart, { maxLength: 6 }), { minLength: 1, maxLength: 3 });
  const seen = { files: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(layers, fc.subarray(universe, { maxLength: 5 }), async (raw, paths) => {
      // A link into an upper layer stops the reading of its own, which is then not verified.
      const lines = raw.map((layer, number) =>
        layer.map((line) => (number === raw.length - 1 ? line : line.replace('->', '='))),
      );
      const { files: known } = await image(...lines);
      if ((await listed(known).catch(() => undefined)) === undefined) return;
      const named = universe.filter((path) => raw.flat().some((line) => line.startsWith(path)));
      for (const path of new Set([...paths, ...named])) {
        const { files: fresh } = await image(...lines);
        const found = async (files: ImageFiles) => (await files.open(path, { verify: true })).text();
        const outcome = (files: ImageFiles) => found(files).catch((error: RegistryError) => error.code);
        const [before, after] = [await outcome(fresh), await outcome(known)];
        const isFile = (result: string) => /^[abc]/.test(result);
        if (isFile(before)) expect([path, before]).toEqual([path, after]);
        // What is not a file and circles of links are refused at once, without reading what follows.
        else if (before === 'NOT_FOUND') expect([path, isFile(after)]).toEqual([path, false]);
        if (isFile(before)) seen.files += 1;
        if (before === 'BAD_RESPONSE') seen.refused += 1;
      }
    }),
    runs(40),
  );
  expect([seen.files > 5, seen.refused > 0]).toEqual([true, true]);
});
