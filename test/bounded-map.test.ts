import { expect, test } from 'vitest';
import { remember } from '../src/bounded-map.ts';

test('of more than a thousand entries the one set longest ago is removed and returned', () => {
  const map = new Map<string, number>();
  for (let index = 0; index < 1000; index += 1) expect(remember(map, String(index), index)).toBeUndefined();
  expect(remember(map, '0', 0), 'set again').toBeUndefined();
  expect(remember(map, 'new', 1)).toBe(1);
  expect([map.size, map.has('0'), map.has('1')]).toEqual([1000, true, false]);
});
