import { expect, test } from 'vitest';
import { createStanding } from '../src/standing.ts';

function world(pause = 30_000) {
  const clock = { now: 1_000 };
  const standing = createStanding({ pause, now: () => clock.now });
  const order = (): string => standing.inOrder(['a', 'b', 'c'], (key) => key).join(' ');
  return { clock, standing, order };
}

test('who let others down is asked last for 5 s, then tried by one call, and by the others when it has responded', () => {
  const { clock, standing, order } = world();
  expect(order()).toBe('a b c');
  standing.lower('a');
  expect([order(), standing.isLow('a'), standing.isLow('b')]).toEqual(['b c a', true, false]);
  clock.now += 4_999;
  expect(order()).toBe('b c a');
  clock.now += 1;
  expect([order(), order()], 'one call tries it').toEqual(['a b c', 'b c a']);
  standing.restore('a');
  expect([order(), order()]).toEqual(['a b c', 'a b c']);
});

test('each further time in a row doubles the pause, up to the longest; several calls at a time count once', () => {
  const { clock, standing, order } = world(15_000);
  for (const pause of [5_000, 10_000, 15_000, 15_000]) {
    standing.lower('a');
    standing.lower('a');
    clock.now += pause - 1;
    expect(order()).toBe('b c a');
    clock.now += 1;
    expect(order()).toBe('a b c');
  }
  standing.restore('a');
  standing.lower('a');
  clock.now += 5_000;
  expect(order()).toBe('a b c');
});

test('a call that tries it and is aborted leaves it last for as long again', () => {
  const { clock, standing, order } = world();
  standing.lower('a');
  clock.now += 5_000;
  expect(order()).toBe('a b c');
  clock.now += 4_999;
  expect(order()).toBe('b c a');
  clock.now += 1;
  expect(order()).toBe('a b c');
});

test('those that let others down keep their order among each other, and nobody is left out', () => {
  const { standing, order } = world();
  for (const key of ['b', 'a', 'c']) standing.lower(key);
  expect(order()).toBe('a b c');
  standing.restore('c');
  expect(order()).toBe('c a b');
});

test('without a pause nobody is asked last, and what has no key never is', () => {
  const { standing, order } = world(0);
  standing.lower('a');
  expect(order()).toBe('a b c');
  expect(standing.isLow(undefined)).toBe(false);
  expect(standing.inOrder(['x'], () => undefined)).toEqual(['x']);
});

test('a thousand are remembered', () => {
  const { standing } = world();
  for (let index = 0; index <= 1_000; index += 1) standing.lower(`host ${index}`);
  expect([standing.isLow('host 0'), standing.isLow('host 1')]).toEqual([false, true]);
});
