import { expect, test } from 'vitest';
import { nearest } from '../../src/text/quote.ts';

const words = ['url', 'mirrors', 'overridePath', 'headers'];

test.each([
  ['ulr', 'url'],
  ['over', 'overridePath'],
  ['xx', undefined],
  ['urls', 'url'],
  ['mirror', 'mirrors'],
  ['override_path', 'overridePath'],
  ['HEADERS', 'headers'],
  ['zzz', undefined],
  ['', undefined],
  ['m'.repeat(100_000), undefined],
])('%s is near %s', (word, candidate) => {
  expect(nearest(word, words)).toBe(candidate);
});
