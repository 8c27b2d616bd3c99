import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { bytesBody, derivedBody, discard, join, readAll } from '../src/body.ts';
import { createBody } from '../src/feed.ts';
import type { Body } from '../src/source.ts';
import { bytes, feedOf, never } from './support/feed.ts';
import { bytesOf, failsWith, failureOf } from './support/http.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('bytes at hand are a body of one chunk; none of them, of none', async () => {
  expect([...(await bytesOf({ body: bytesBody(bytes(1, 2)) }))]).toEqual([1, 2]);
  expect((await bytesBody(bytes())[Symbol.asyncIterator]().next()).done).toBe(true);
  const cancelled = bytesBody(bytes(1));
  await cancelled.cancel();
  expect((await bytesOf({ body: cancelled })).length).toBe(0);
});

test('cancelling a derived body cancels what it is made from, and ends the derivation', async () => {
  for (const reads of [0, 1]) {
    const feed = feedOf(bytes(1), bytes(2), bytes(3));
    let left = 0;
    const derive = async function* (body: Body) {
      try {
        for await (const chunk of body) yield chunk.map((value) => value * 10);
      } finally {
        left += 1;
      }
    };
    const { body } = createBody(feed);
    const derived = derivedBody(body, derive);
    const iterator = derived[Symbol.asyncIterator]();
    for (let count = 0; count < reads; count += 1) expect((await iterator.next()).value).toEqual(bytes(10));
    await derived.cancel('enough');
    await vi.advanceTimersByTimeAsync(0);
    expect(feed.cancelled).toEqual(['enough']);
    expect((await iterator.next()).done).toBe(true);
    expect(left).toBe(reads);
    await derived.cancel();
  }
});

test('readAll takes as many bytes as its limit, and cancels at one more', async () => {
  const whole = createBody(feedOf(bytes(1, 2), bytes(3)));
  expect([...(await readAll(whole.body, 3, 'it'))]).toEqual([1, 2, 3]);
  const feed = feedOf(bytes(1, 2), bytes(3, 4), bytes(5));
  const { body } = createBody(feed);
  const error = await failureOf(readAll(body, 3, 'the manifest "a"'));
  expect(error).toEqual(failsWith('TOO_LARGE', { message: 'Cannot read the manifest "a": more than 3 bytes' }));
  expect([feed.asked, feed.cancelled.length]).toEqual([2, 1]);
  expect((await readAll(createBody(feedOf()).body, 0, 'it')).length).toBe(0);
});

test('join puts chunks after one another', () => {
  expect(join([], 0)).toEqual(bytes());
  expect(join([bytes(1), bytes(), bytes(2, 3)], 3)).toEqual(bytes(1, 2, 3));
});

test('discard reads a short body to its end, and cancels one that is longer than its limit', async () => {
  const short = feedOf(bytes(1, 2), bytes(3));
  await discard(createBody(short).body, 3);
  expect([short.asked, short.cancelled.length]).toEqual([3, 0]);
  const long = feedOf(bytes(1, 2), bytes(3, 4), bytes(5));
  await discard(createBody(long).body, 3);
  expect([long.asked, long.cancelled.length]).toEqual([2, 1]);
});

test('discard never fails, and waits no longer than its time', async () => {
  await discard(createBody(feedOf(new Error('cut'))).body);
  const slow = feedOf(bytes(1), never());
  const done = discard(createBody(slow).body, 100, 500);
  await vi.advanceTimersByTimeAsync(499);
  expect(slow.cancelled.length).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  await done;
  expect(slow.cancelled.length).toBe(1);
  expect(vi.getTimerCount()).toBe(0);
});

test('a body that drips is given up in time', async () => {
  vi.useRealTimers();
  const dripping = (async function* () {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      yield new Uint8Array(1);
    }
  })();
  await expect(readAll(dripping, 1000, 'an error', 50)).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: 'Cannot read an error: not done in 50 ms',
  });
});
