import { expect, test } from 'vitest';
import { createFirsts } from '../../src/http/authorize.ts';
import type { HttpRequest } from '../../src/http/transport.ts';
import { endpointOf, failsWith, failureOf } from '../support/http.ts';

const requestWith = (signal?: AbortSignal, url = 'https://registry.test/v2'): HttpRequest => ({
  method: 'GET',
  url: `${url}/a`,
  endpoint: endpointOf(url),
  signal,
});
const turn = () => new Promise((resolve) => setImmediate(resolve));

function waiting(promise: Promise<unknown>): { readonly isOver: () => boolean } {
  let isOver = false;
  void promise.then(() => {
    isOver = true;
  });
  return { isOver: () => isOver };
}

test('the others wait for the response to the first, and from then on none waits', async () => {
  const first = createFirsts();
  const responded = await first(requestWith());
  const others = [waiting(first(requestWith())), waiting(first(requestWith()))];
  await turn();
  expect(others.map(({ isOver }) => isOver())).toEqual([false, false]);
  responded();
  responded(false);
  await turn();
  expect(others.map(({ isOver }) => isOver())).toEqual([true, true]);
  const later = [waiting(first(requestWith())), waiting(first(requestWith()))];
  await turn();
  expect(later.every(({ isOver }) => isOver())).toBe(true);
});

test('if the first fails the others continue together, and the next new one is the first again', async () => {
  const first = createFirsts();
  const responded = await first(requestWith());
  const others = [first(requestWith()), first(requestWith())];
  responded(false);
  await Promise.all(others);
  const again = await first(requestWith());
  const next = waiting(first(requestWith()));
  await turn();
  expect(next.isOver()).toBe(false);
  again();
  await turn();
  expect(next.isOver()).toBe(true);
});

test('another endpoint and another origin do not wait; a signal ends a wait', async () => {
  const first = createFirsts();
  await first(requestWith());
  await first(requestWith(undefined, 'https://mirror.test/v2'));
  await first({ method: 'GET', url: 'https://registry.test/v2/a' });
  const controller = new AbortController();
  const wait = failureOf(first(requestWith(controller.signal)));
  controller.abort();
  expect(await wait).toEqual(failsWith('ABORTED'));
});
