import { expect, test } from 'vitest';
import type { Meter } from '../../src/body.ts';
import { createPaces } from '../../src/content/pace.ts';
import { RegistryError } from '../../src/errors.ts';

const mebibyte = 1_048_576;

function world(crawl = 5_000) {
  const clock = { now: 0 };
  const paces = createPaces({ crawl, now: () => clock.now });
  /** Seconds until the meter breaks the body that comes at this speed; undefined if it does not in a minute. */
  const breaksAfter = (meter: Meter, speed: number, every = 500): number | undefined => {
    const started = clock.now;
    try {
      while (clock.now - started < 60_000) {
        clock.now += every;
        meter.add(every, (speed * every) / 1_000);
      }
      return undefined;
    } catch (error) {
      expect(error).toBeInstanceOf(RegistryError);
      expect(error).toMatchObject({ code: 'TIMEOUT', reason: 'too-slow', limit: 'timeouts.crawl' });
      return (clock.now - started) / 1_000;
    }
  };
  return { clock, paces, breaksAfter };
}

test('a host below a tenth of the speed of another one is left after 5 s, and one above it is not', () => {
  const { paces, breaksAfter } = world();
  expect(breaksAfter(paces.meterOf('fast'), 20 * mebibyte)).toBeUndefined();
  expect(breaksAfter(paces.meterOf('a', ['fast']), 1.9 * mebibyte)).toBe(5);
  expect(breaksAfter(paces.meterOf('b', ['fast']), 2.1 * mebibyte)).toBeUndefined();
});

test('a host that has brought nothing yet is believed to bring 1 MiB a second', () => {
  const { paces, breaksAfter } = world();
  expect(breaksAfter(paces.meterOf('a', ['unknown']), 100_000)).toBe(5);
  expect(breaksAfter(paces.meterOf('a', ['unknown']), 110_000)).toBeUndefined();
  expect(breaksAfter(paces.meterOf('slow'), 100_000), 'it is the only one').toBeUndefined();
  expect(breaksAfter(paces.meterOf('a', ['slow']), 100_000), 'the other one is no faster').toBeUndefined();
  expect(breaksAfter(paces.meterOf('a', ['slow', 'unknown']), 100_000)).toBe(5);
});

test('a host that becomes slow is left, whatever it brought before', () => {
  const { paces, breaksAfter } = world();
  const meter = paces.meterOf('a', ['other']);
  expect(breaksAfter(meter, 50 * mebibyte)).toBeUndefined();
  expect(breaksAfter(meter, 10_000)).toBeLessThanOrEqual(10);
});

test('only time in which a reader waits counts, and for other hosts all of it', () => {
  const { clock, paces, breaksAfter } = world();
  const unread = paces.meterOf('a', ['other']);
  for (let count = 0; count < 100; count += 1) {
    clock.now += 1_000;
    unread.add(0, 1);
  }
  const slowlyRead = paces.meterOf('other');
  for (let count = 0; count < 100; count += 1) {
    clock.now += 1_000;
    slowlyRead.add(1, mebibyte / 2);
  }
  expect(breaksAfter(paces.meterOf('b', ['other']), mebibyte / 10)).toBeUndefined();
});

test('a wait is as long as the comparison, unless nothing is compared', () => {
  const { paces } = world();
  expect(paces.meterOf('a', ['b']).longestWait).toBe(5_000);
  expect(paces.meterOf('a').longestWait).toBe(0);
  const { paces: never, breaksAfter } = world(0);
  expect(never.meterOf('a', ['b']).longestWait).toBe(0);
  expect(breaksAfter(never.meterOf('a', ['b']), 1)).toBeUndefined();
});
