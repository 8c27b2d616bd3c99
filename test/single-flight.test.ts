import { expect, test } from 'vitest';
import { singleFlight } from '../src/single-flight.ts';
import { failsWith, failureOf } from './support/http.ts';

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
