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
const someLayer = fc.record({
  paths: fc.uniqueArray(somePath, { maxLength: 6 }),
  empty: fc.uniqueArray(somePath, { maxLength: 2 }),
  whiteouts: fc.uniqueArray(somePath, { maxLength: 2 }),
  opaque: fc.uniqueArray(somePath, { maxLength: 1 }),
  describes: fc.boolean(),
});
type Shape = typeof someLayer extends fc.Arbitrary<infer T> ? T : never;

const parentsOf = (path: string): string[] => {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
};

/** The entries of a layer of that shape: each path is a directory or a file, not both. */
function entriesOf({ paths, empty, opaque, describes }: Shape, number: number): Map<string, string | undefined> {
  const directories = new Set([...empty, ...opaque, ...[...paths, ...empty, ...opaque].flatMap(parentsOf)]);
  const entries = new Map<string, string | undefined>();
  if (describes) for (const path of directories) entries.set(path, undefined);
  for (const path of empty) entries.set(path, undefined);
  for (const path of paths) if (!directories.has(path)) entries.set(path, `${number}:${path}`);
  return entries;
}

const whiteoutOf = (path: string): string => path.replace(/[^/]+$/, (name) => `.wh.${name}`);

/** The result of unpacking layers one after the other: files by path, directories without content. */
function unpackedModel(shapes: readonly Shape[]): Map<string, string | undefined> {
  const state = new Map<string, string | undefined>();
  const removeBelow = (path: string) => {
    for (const other of [...state.keys()]) if (other.startsWith(`${path}/`)) state.delete(other);
  };
  const makeDirectory = (path: string) => {
    for (const one of [...parentsOf(path), path]) state.set(one, undefined);
  };
  for (const [number, shape] of shapes.entries()) {
    for (const path of shape.whiteouts) {
      removeBelow(path);
      state.delete(path);
    }
    for (const path of shape.opaque) removeBelow(path);
    for (const path of [...shape.whiteouts, ...shape.opaque.map((one) => `${one}/x`)]) {
      for (const parent of parentsOf(path)) makeDirectory(parent);
    }
    for (const [path, content] of entriesOf(shape, number)) {
      for (const parent of parentsOf(path)) makeDirectory(parent);
      if (content !== undefined) removeBelow(path);
      state.set(path, content);
    }
  }
  return state;
}

const universe = names.flatMap((a) => [
  a,
  ...names.flatMap((b) => [`${a}/${b}`, ...names.map((c) => `${a}/${b}/${c}`)]),
]);

test('list and open agree with unpacking one layer after the other', async () => {
  const shuffled = fc.infiniteStream(fc.nat());
  await fc.assert(
    fc.asyncProperty(fc.array(someLayer, { minLength: 1, maxLength: 4 }), shuffled, async (raw, order) => {
      // A whiteout whose path goes through a file of the same layer is left out.
      const shapes = raw.map((shape) => {
        const mine = new Set(
          [...entriesOf(shape, 0)].filter(([, content]) => content !== undefined).map(([path]) => path),
        );
        return {
          ...shape,
          whiteouts: shape.whiteouts.filter((path) => !parentsOf(path).some((parent) => mine.has(parent))),
        };
      });
      const layers = shapes.map((shape, number) => {
        const lines = [
          ...[...entriesOf(shape, number)].map(([path, content]) =>
            content === undefined ? `${path}/` : `${path}=${content}`,
          ),
          ...shape.whiteouts.map(whiteoutOf),
          ...shape.opaque.map((path) => `${path}/.wh..wh..opq`),
        ];
        return tarLayer(
          ...lines
            .map((line) => ({ line, at: order.next().value }))
            .sort((a, b) => a.at - b.at)
            .map(({ line }) => line),
        );
      });
      const model = unpackedModel(shapes);
      const { files } = await imageOf(layers);
      const opened = async () => {
        for (const path of universe) {
          const content = model.get(path);
          if (content !== undefined) expect([path, await read(files, path)]).toEqual([path, content]);
          else
            expect([path, (await errorOf(files.open(path))).code]).toEqual([
              path,
              model.has(path) ? 'UNSUPPORTED' : 'NOT_FOUND',
            ]);
        }
      };
      await opened();
      const found = (await listed(files)).map(({ path, type }) => [path, type === 'directory']);
      const expected = [...model].map(([path, content]) => [path, content === undefined] as const);
      const byNames = (path: string) => path.replaceAll('/', '\0');
      expect(found).toEqual(expected.sort(([a], [b]) => (byNames(a) < byNames(b) ? -1 : 1)).map((one) => [...one]));
      await opened();
    }),
    runs(15),
  );
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
