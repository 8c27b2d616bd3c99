import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { bytesBody, createBody, derivedBody, discard, type Feed, readAll } from '../src/body.ts';
import type { Body } from '../src/source.ts';
import { bytes, feedOf, never } from './support/feed.ts';
import { bytesOf, failsWith, failureOf } from './support/http.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('a body hands on what its feed gives, at once or later, and reports its end', async () => {
  const feed = feedOf(bytes(1, 2), Promise.resolve(bytes(3)), bytes());
  const { body, ended } = createBody(feed);
  expect([...(await bytesOf({ body }))]).toEqual([1, 2, 3]);
  expect(await ended).toEqual({ bytes: 3 });
  expect(feed.cancelled).toEqual([]);
  const asked = feed.asked;
  expect((await bytesOf({ body })).length).toBe(0);
  expect(feed.asked).toBe(asked);
});

test('two iterators of a body share its bytes', async () => {
  const { body } = createBody(feedOf(bytes(1), bytes(2)));
  const [first, second] = [body[Symbol.asyncIterator](), body[Symbol.asyncIterator]()];
  expect([(await first.next()).value, (await second.next()).value]).toEqual([bytes(1), bytes(2)]);
  expect([(await first.next()).done, (await second.next()).done]).toEqual([true, true]);
});

test.each([
  ['at once', () => new Error('cut')],
  ['later', () => Promise.reject(new Error('cut'))],
])('a feed that breaks %s breaks the body for good, and is let go of', async (_when, fault) => {
  const feed = feedOf(bytes(1, 2));
  const first = feed.next;
  feed.next = () => {
    const step = feed.asked === 0 ? first() : fault();
    if (step instanceof Error) throw step;
    return step;
  };
  const { body, ended } = createBody(feed);
  const iterator = body[Symbol.asyncIterator]();
  await iterator.next();
  await expect(iterator.next()).rejects.toThrow('cut');
  expect(await ended).toEqual({ bytes: 2, error: expect.objectContaining({ message: 'cut' }) });
  expect(feed.cancelled.length).toBe(1);
  await expect(iterator.next(), 'not an end, which would be taken for the whole').rejects.toThrow('cut');
  await body.cancel();
  expect(feed.cancelled.length).toBe(1);
});

test('a cancelled body has no more bytes, and hands the reason on once', async () => {
  const feed = feedOf(bytes(1), bytes(2));
  const { body, ended } = createBody(feed);
  const reason = new Error('enough');
  await body.cancel(reason);
  await body.cancel(new Error('again'));
  expect(feed.cancelled).toEqual([reason]);
  expect((await bytesOf({ body })).length).toBe(0);
  expect(await ended).toEqual({ bytes: 0, error: failsWith('ABORTED', { cause: reason }) });
});

test('cancel ends a read that waits; what comes then is dropped', async () => {
  let arrive: (chunk: Uint8Array) => void = () => undefined;
  const feed = feedOf(
    new Promise<Uint8Array>((resolve) => {
      arrive = resolve;
    }),
  );
  const { body, ended } = createBody(feed, { idle: 1_000 });
  const read = body[Symbol.asyncIterator]().next();
  await body.cancel();
  expect(await read).toEqual({ value: undefined, done: true });
  arrive(bytes(1));
  expect(await ended).toMatchObject({ bytes: 0 });
  expect(vi.getTimerCount()).toBe(0);
});

test('a loop that is left early, or throws, cancels', async () => {
  for (const leave of ['break', 'throw']) {
    const feed = feedOf(bytes(1), bytes(2));
    const { body, ended } = createBody(feed);
    const loop = async () => {
      for await (const chunk of body) {
        if (leave === 'throw') throw new Error(`chunk of ${chunk.length}`);
        break;
      }
    };
    await loop().catch((error: Error) => expect(error.message).toBe('chunk of 1'));
    expect(feed.cancelled.length).toBe(1);
    expect(await ended).toEqual({ bytes: 1, error: failsWith('ABORTED') });
  }
});

test('a signal breaks a read that waits, a body that nobody reads, and one that is made after it', async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const [waiting, unread] = [feedOf(never()), feedOf(bytes(1))];
  const read = failureOf(createBody(waiting, { signal }).body[Symbol.asyncIterator]().next());
  const { body, ended } = createBody(unread, { signal });
  const reason = new Error('enough');
  controller.abort(reason);
  expect(await read).toEqual(failsWith('ABORTED', { cause: reason }));
  expect(await ended).toEqual({ bytes: 0, error: failsWith('ABORTED') });
  expect(await failureOf(bytesOf({ body }))).toEqual(failsWith('ABORTED'));
  const late = feedOf(bytes(1));
  expect(await failureOf(bytesOf(createBody(late, { signal })))).toEqual(failsWith('ABORTED'));
  expect([waiting.cancelled.length, unread.cancelled.length, late.cancelled.length]).toEqual([1, 1, 1]);
  expect(late.asked).toBe(0);
});

test('a signal that fires after the end changes nothing', async () => {
  const controller = new AbortController();
  const feed = feedOf(bytes(1));
  const { body, ended } = createBody(feed, { signal: controller.signal });
  await bytesOf({ body });
  controller.abort();
  expect(await ended).toEqual({ bytes: 1 });
  expect((await bytesOf({ body })).length).toBe(0);
  expect(feed.cancelled).toEqual([]);
});

test('idle time counts only while a read waits, and each byte begins it anew', async () => {
  const later = (milliseconds: number): Promise<Uint8Array> =>
    new Promise((resolve) => setTimeout(() => resolve(bytes(1)), milliseconds));
  const steps = [() => later(90), () => later(90), () => never()];
  const feed: Feed = { next: () => steps.shift()?.(), cancel: () => undefined };
  const { body, ended } = createBody(feed, { idle: 100 });
  const iterator = body[Symbol.asyncIterator]();
  for (let count = 0; count < 2; count += 1) {
    await vi.advanceTimersByTimeAsync(10_000);
    const read = iterator.next();
    await vi.advanceTimersByTimeAsync(90);
    expect((await read).value).toEqual(bytes(1));
  }
  await vi.advanceTimersByTimeAsync(10_000);
  const last = failureOf(iterator.next());
  let settled = false;
  void last.then(() => {
    settled = true;
  });
  await vi.advanceTimersByTimeAsync(99);
  expect(settled).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(await last).toEqual(failsWith('TIMEOUT', { message: expect.stringContaining('100 ms') }));
  expect(await ended).toEqual({ bytes: 2, error: failsWith('TIMEOUT') });
  expect(vi.getTimerCount()).toBe(0);
});

test('a feed whose cancel fails or hangs keeps nobody from the error', async () => {
  for (const cancel of [
    () => never(),
    () => Promise.reject(new Error('no')),
    () => {
      throw new Error('no');
    },
  ]) {
    const { body } = createBody({ next: () => Promise.reject(new Error('cut')), cancel });
    await expect(bytesOf({ body })).rejects.toThrow('cut');
  }
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
