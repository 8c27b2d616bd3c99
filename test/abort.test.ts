import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { abortError, deadline, singleFlight, sleep, unlessAborted } from '../src/abort.ts';
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

test("a signal that is not of Node, such as happy-dom's, ends it as any other does", () => {
  let abort = (): void => {};
  const foreign = {
    aborted: false,
    reason: 'enough',
    addEventListener: (_: string, listener: () => void) => {
      abort = listener;
    },
    removeEventListener: () => {},
  };
  const limit = deadline(foreign as unknown as AbortSignal);
  abort();
  expect(limit.signal.reason).toEqual(failsWith('ABORTED', { cause: 'enough' }));
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

/** Work that ends when it is told to. */
function works() {
  const flights = singleFlight<string>();
  const begun: { signal: AbortSignal; resolve: (value: string) => void; reject: (error: Error) => void }[] = [];
  const work = (signal: AbortSignal) =>
    new Promise<string>((resolve, reject) => {
      begun.push({ signal, resolve, reject });
    });
  return { begun, join: (key: string, signal?: AbortSignal) => flights(key, signal, work) };
}

test('all who ask at the same time get the answer of one', async () => {
  const { begun, join } = works();
  const calls = [join('a'), join('a'), join('b'), join('a')];
  expect(begun.length).toBe(2);
  begun[0]?.resolve('first');
  begun[1]?.resolve('second');
  expect(await Promise.all(calls)).toEqual(['first', 'first', 'second', 'first']);
});

test('nothing is kept: neither an answer nor a failure', async () => {
  const { begun, join } = works();
  const [first, second] = [failureOf(join('a')), failureOf(join('a'))];
  begun[0]?.reject(new Error('no'));
  expect((await Promise.all([first, second])).map(String)).toEqual(['Error: no', 'Error: no']);
  const third = join('a');
  begun[1]?.resolve('yes');
  expect(await third).toBe('yes');
  const fourth = join('a');
  expect(begun.length).toBe(3);
  begun[2]?.resolve('again');
  expect(await fourth).toBe('again');
});

test('who leaves gets ABORTED at once; the others their answer', async () => {
  const { begun, join } = works();
  const controller = new AbortController();
  const [leaving, staying] = [failureOf(join('a', controller.signal)), join('a')];
  const reason = new Error('enough');
  controller.abort(reason);
  expect(await leaving).toEqual(failsWith('ABORTED', { cause: reason }));
  expect(begun[0]?.signal.aborted).toBe(false);
  begun[0]?.resolve('yes');
  expect(await staying).toBe('yes');
});

test('when the last has left the work is aborted, and who comes then begins anew', async () => {
  const { begun, join } = works();
  const controllers = [new AbortController(), new AbortController()];
  const calls = controllers.map(({ signal }) => failureOf(join('a', signal)));
  for (const controller of controllers) controller.abort();
  await Promise.all(calls);
  expect(begun[0]?.signal.aborted).toBe(true);
  const fresh = join('a');
  begun[0]?.reject(new Error('too late'));
  await Promise.resolve();
  const joined = join('a');
  expect(begun.length).toBe(2);
  begun[1]?.resolve('yes');
  expect(await Promise.all([fresh, joined])).toEqual(['yes', 'yes']);
});

test('a signal that has fired begins no work', async () => {
  const { begun, join } = works();
  expect(await failureOf(join('a', AbortSignal.abort()))).toEqual(failsWith('ABORTED'));
  expect(begun.length).toBe(0);
});

test('a signal that fires after the answer disturbs nobody', async () => {
  const { begun, join } = works();
  const controller = new AbortController();
  const first = join('a', controller.signal);
  begun[0]?.resolve('yes');
  expect(await first).toBe('yes');
  const second = join('a');
  controller.abort();
  const third = join('a');
  expect(begun.length).toBe(2);
  expect(begun[1]?.signal.aborted).toBe(false);
  begun[1]?.resolve('again');
  expect(await Promise.all([second, third])).toEqual(['again', 'again']);
});
