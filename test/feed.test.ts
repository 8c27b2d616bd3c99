import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createBody, type Feed } from '../src/feed.ts';
import { bytes, feedOf, never } from './support/feed.ts';
import { bytesOf, failsWith, failureOf } from './support/http.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('a body hands on what its feed gives, at once or later, and tells its end', async () => {
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
