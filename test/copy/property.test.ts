import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLiars } from '../../src/content/attempts.ts';
import { copy, copyWith } from '../../src/copy/copy.ts';
import { RegistryError } from '../../src/errors.ts';
import { defaultManifestBytes } from '../../src/oci/manifest.ts';
import type { Store } from '../../src/source.ts';
import { memoryStore } from '../../src/store/memory.ts';
import type { Sample } from '../contract/source.ts';
import { fill } from '../contract/store.ts';
import { type Built, digestsOf, entry, filled, heldBy, image, index, layer, watched } from './support.ts';

const platforms = ['linux/amd64', 'linux/arm64', 'linux/arm/v6', undefined] as const;

/** Images over few layers, so that they share them, and indexes of images and indexes. */
const trees: fc.Memo<Built> = fc.memo((depth) => {
  const images = fc
    .tuple(fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }), fc.constantFrom(...platforms))
    .map(([layers, on]) => {
      const platform = on ?? 'linux/s390x';
      const built = image(`${layers}`, { platform, layers: layers.map((each) => layer(`${each}`)) });
      return entry(built, on === undefined ? {} : { on });
    });
  if (depth <= 1) return images;
  const nested = fc.array(trees(depth - 1), { minLength: 1, maxLength: 3 }).map((entries) => entry(index(...entries)));
  return fc.oneof(images, nested);
});

/** Checks, when the name is given, that all which the named content is made of is there. */
function checkedStore(store: Store, reachable: () => readonly Sample[]): { store: Store; named: () => boolean } {
  let isNamed = false;
  const tag: Store['tag'] = async (target, name, options) => {
    expect(await heldBy(store, reachable())).toEqual(digestsOf(reachable()));
    isNamed = true;
    await store.tag(target, name, options);
  };
  return { store: { ...store, tag }, named: () => isNamed };
}

interface Chances {
  /** Of the content that the store has before. */
  readonly preload: readonly boolean[];
  /** Of the contents that fail, how often. */
  readonly faults: readonly number[];
}

const chances: fc.Arbitrary<Chances> = fc.record({
  preload: fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }),
  faults: fc.array(fc.constantFrom(0, 0, 0, 1, 9), { minLength: 1, maxLength: 12 }),
});
const at = <T>(list: readonly T[], place: number, otherwise: T): T => list[place % list.length] ?? otherwise;

test('whatever the tree, the store and the errors: everything is there before the name, and nothing is requested twice', async () => {
  const check = async (tree: Built, concurrency: number, { preload, faults }: Chances) => {
    const unique = [...new Map(tree.parts.map((part) => [part.descriptor.digest, part])).values()];
    const before = unique.filter((_part, place) => at(preload, place, false));
    const left = new Map(unique.map(({ descriptor }, place) => [descriptor.digest, at(faults, place, 0)]));
    const memory = memoryStore();
    await fill(memory, before);
    const { store, named } = checkedStore(memory, () => unique);
    const { source, fetched } = watched(await filled(tree), ({ digest }) => {
      const times = left.get(digest) ?? 0;
      left.set(digest, times - 1);
      if (times > 0) throw new RegistryError('BAD_RESPONSE', 'not now');
    });
    // As `copy` does, but without waits.
    const copying = copyWith(
      { emit: () => {}, liars: createLiars(), signals: [], backoff: 0, manifestBytes: defaultManifestBytes },
      { from: source, to: store, reference: 'latest', label: 'latest', options: { platform: 'all', concurrency } },
    );
    const failed = await copying.then(
      () => false,
      () => true,
    );
    const had = new Set(digestsOf(before));
    const dead = digestsOf(
      unique.filter(({ descriptor: { digest } }, place) => at(faults, place, 0) > 3 && !had.has(digest)),
    );
    // A failure may end the copy before another one is met, but none is passed over.
    expect(failed).toBe(dead.length > 0);
    expect(named()).toBe(!failed);
    expect(fetched.filter((digest) => had.has(digest as never))).toEqual([]);
    for (const [place, { descriptor }] of unique.entries()) {
      const most = 1 + Math.min(3, at(faults, place, 0));
      expect(fetched.filter((digest) => digest === descriptor.digest).length).toBeLessThanOrEqual(most);
    }
  };
  const concurrency = fc.integer({ min: 1, max: 4 });
  await fc.assert(fc.asyncProperty(trees(3), concurrency, chances, check), { numRuns: 150 });
});

test('of the images for a platform exactly one is copied, whole, and nothing else', async () => {
  const check = async (tree: Built, platform: string) => {
    const memory = memoryStore();
    const result = await copy(await filled(tree), memory, 'latest', { platform }).catch(
      (error: RegistryError) => error,
    );
    const held = await heldBy(memory, tree.parts);
    if (result instanceof RegistryError) {
      expect([result.code, held]).toEqual(['NOT_FOUND', []]);
      return;
    }
    const again = memoryStore();
    await copy(memory, again, 'latest', { platform: 'all' });
    expect(await heldBy(again, tree.parts)).toEqual(held);
  };
  await fc.assert(fc.asyncProperty(trees(3), fc.constantFrom('linux/amd64', 'linux/arm64', 'linux/arm/v7'), check), {
    numRuns: 150,
  });
});
