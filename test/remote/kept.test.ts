import { expect, test } from 'vitest';
import { createKept } from '../../src/remote/kept.ts';
import { createLiars } from '../../src/remote/liars.ts';

const app = { registry: 'a.test', name: 'app' };

test('what was read is kept up to a bound, the oldest goes first, and each repository has its own', () => {
  const kept = createKept(10);
  kept.put(app, 'sha256:1', new Uint8Array(6));
  expect(kept.get(app, 'sha256:1')).toHaveLength(6);
  expect(kept.get({ ...app, name: 'other' }, 'sha256:1')).toBeUndefined();
  kept.put(app, 'sha256:1', new Uint8Array(6));
  kept.put(app, 'sha256:2', new Uint8Array(4));
  expect(kept.get(app, 'sha256:1')).toHaveLength(6);
  kept.put(app, 'sha256:3', new Uint8Array(1));
  expect([kept.get(app, 'sha256:1'), kept.get(app, 'sha256:2')?.length, kept.get(app, 'sha256:3')?.length]).toEqual([
    undefined,
    4,
    1,
  ]);
  kept.put(app, 'sha256:4', new Uint8Array(11));
  expect(kept.get(app, 'sha256:4')).toBeUndefined();
});

test('who lied alone is asked last; of several who gave the bytes, the one that came last is asked first', () => {
  const liars = createLiars();
  expect(liars.of('sha256:1')).toEqual([]);
  liars.remember('sha256:1', ['a', 'b', 'c']);
  expect(liars.of('sha256:1')).toEqual(['c', 'b', 'a']);
  liars.remember('sha256:1', ['c']);
  expect(liars.of('sha256:1')).toEqual(['b', 'a', 'c']);
  liars.remember('sha256:1', ['d', 'a']);
  expect(liars.of('sha256:1')).toEqual(['a', 'd', 'b', 'c']);
  expect(liars.of('sha256:2')).toEqual([]);
});

test('liars are remembered for so many contents, the oldest is forgotten', () => {
  const liars = createLiars(2);
  for (const digest of ['1', '2', '3']) liars.remember(digest, ['a']);
  expect(['1', '2', '3'].map((digest) => liars.of(digest).length)).toEqual([0, 1, 1]);
});
