import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { abortError, deadline, sleep, unlessAborted } from '../src/deadline.ts';
import { RegistryError } from '../src/errors.ts';
import { failsWith, failureOf } from './support/http.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('it fires with any of its parents, with ABORTED and their reason as cause', () => {
  const parents = [new AbortController(), new AbortController()];
  const limit = deadline(undefined, ...parents.map(({ signal }) => signal));
  expect(limit.signal.aborted).toBe(false);
  const reason = new Error('enough');
  parents[1]?.abort(reason);
  expect(limit.signal.reason).toEqual(failsWith('ABORTED', { cause: reason }));
  parents[0]?.abort(new Error('again'));
  expect(limit.signal.reason.cause).toBe(reason);
});

test('a parent that has fired before fires it at once', () => {
  expect(deadline(AbortSignal.abort('enough')).signal.reason).toEqual(failsWith('ABORTED', { cause: 'enough' }));
});

test('an error of ours that is given as reason stays as it is', () => {
  const closed = new RegistryError('CLOSED', 'The client was closed');
  const limit = deadline();
  limit.cancel(closed);
  limit.cancel(new Error('again'));
  expect(limit.signal.reason).toBe(closed);
  expect(abortError(closed)).toBe(closed);
});

test('it fires with TIMEOUT after its limit, the last one that was set', () => {
  const limit = deadline();
  limit.limit(100, 'wait');
  vi.advanceTimersByTime(99);
  limit.limit(100, 'do it');
  vi.advanceTimersByTime(99);
  expect(limit.signal.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  expect(limit.signal.reason).toEqual(failsWith('TIMEOUT', { message: 'Cannot do it: not done in 100 ms' }));
});

test('unlimit ends the limit but not the parents; end both', () => {
  const parent = new AbortController();
  const limit = deadline(parent.signal);
  limit.limit(10, 'it');
  limit.unlimit();
  vi.advanceTimersByTime(100);
  expect(limit.signal.aborted).toBe(false);
  const ended = deadline(parent.signal);
  ended.limit(10, 'it');
  ended.end();
  expect(vi.getTimerCount()).toBe(0);
  parent.abort();
  expect([limit.signal.aborted, ended.signal.aborted]).toEqual([true, false]);
});

test('a limit longer than a timer can be does not fire at once', () => {
  const limit = deadline();
  limit.limit(2 ** 40, 'it');
  vi.advanceTimersByTime(86_400_000);
  expect(limit.signal.aborted).toBe(false);
  limit.end();
});

test('sleep ends after its time, or with ABORTED as soon as the signal fires', async () => {
  const controller = new AbortController();
  const whole = sleep(100, controller.signal);
  await vi.advanceTimersByTimeAsync(100);
  await whole;
  const cut = failureOf(sleep(100, controller.signal));
  await vi.advanceTimersByTimeAsync(50);
  controller.abort(new Error('enough'));
  expect(await cut).toEqual(failsWith('ABORTED', { message: expect.stringContaining('enough') }));
  expect(await failureOf(sleep(100, controller.signal))).toEqual(failsWith('ABORTED'));
  expect(vi.getTimerCount()).toBe(0);
  let done = false;
  void sleep(2 ** 40).then(() => {
    done = true;
  });
  await vi.advanceTimersByTimeAsync(86_400_000);
  expect(done).toBe(false);
});

test('what a promise gives or fails with comes first, unless the signal fires', async () => {
  const { signal } = new AbortController();
  expect(await unlessAborted(Promise.resolve(5), signal)).toBe(5);
  expect(await unlessAborted(Promise.resolve(5))).toBe(5);
  const error = new Error('broken');
  expect(await failureOf(unlessAborted(Promise.reject(error), signal))).toBe(error);
  const controller = new AbortController();
  const waiting = failureOf(unlessAborted(new Promise(() => {}), controller.signal));
  controller.abort(new Error('enough'));
  expect(await waiting).toEqual(failsWith('ABORTED'));
  expect(await failureOf(unlessAborted(Promise.reject(error), controller.signal))).toEqual(failsWith('ABORTED'));
});
