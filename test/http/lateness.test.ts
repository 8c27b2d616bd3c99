import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { sleep } from '../../src/abort.ts';
import { RegistryError } from '../../src/errors.ts';
import { lateness } from '../../src/http/lateness.ts';
import type { HttpRequest } from '../../src/http/transport.ts';
import { failureOf, recording } from '../support/http.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A host that responds after so many milliseconds, and what is said of its requests. */
function world() {
  const state: { takes: number; fails?: boolean } = { takes: 0 };
  const { transport } = recording(async () => {
    await sleep(state.takes);
    if (state.fails) throw new RegistryError('UNAVAILABLE', 'no');
    return {};
  });
  const send = lateness({ least: 300 })(transport);
  const controller = new AbortController();
  const request = async (takes: number, url = 'https://a.test/'): Promise<readonly (number | string)[]> => {
    const said: (number | string)[] = [];
    state.takes = takes;
    const contest: HttpRequest['contest'] = {
      signal: controller.signal,
      onSent: () => void said.push('sent'),
      onSilent: (milliseconds) => void said.push(Math.round(milliseconds)),
    };
    const response = send({ method: 'GET', url, contest });
    response.catch(() => undefined);
    await vi.runAllTimersAsync();
    await response.catch(() => undefined);
    return said;
  };
  return { state, send, request };
}

test('a request is said to be sent, to be late after 300 ms, and to have a response after all', async () => {
  const { request } = world();
  expect(await request(290)).toEqual(['sent']);
  expect(await request(2_000, 'https://b.test/')).toEqual(['sent', 300, 0]);
});

test('a host that takes long is late after three times as long as it took, each host for itself', async () => {
  const { request } = world();
  await request(200);
  expect(await request(590)).toEqual(['sent']);
  expect(await request(400, 'https://b.test/')).toEqual(['sent', 300, 0]);
  // 200 and 590: a fourth of the latest one counts.
  const [, late] = await request(2_000);
  expect(late).toBe(Math.round(3 * ((3 * 200 + 590) / 4)));
});

test('a response that comes in the same turn as the limit is not late', async () => {
  const { request } = world();
  expect(await request(300)).toEqual(['sent']);
});

test('a late request that fails has taken its time, but at most a second of it counts', async () => {
  const { state, request } = world();
  state.fails = true;
  expect(await request(600)).toEqual(['sent', 300, 0]);
  state.fails = false;
  expect((await request(9_000))[1]).toBe(1_800);
  state.fails = true;
  await request(9_000, 'https://b.test/');
  state.fails = false;
  expect((await request(9_000, 'https://b.test/'))[1]).toBe(3_000);
});

test('a failure that is not late shows nothing', async () => {
  const { state, request } = world();
  state.fails = true;
  await request(290);
  state.fails = false;
  expect((await request(9_000))[1]).toBe(300);
});

test('without a contest nothing is timed, and the time of the host is learned all the same', async () => {
  const { send, state, request } = world();
  state.takes = 500;
  const response = send({ method: 'GET', url: 'https://a.test/' });
  await vi.runAllTimersAsync();
  expect((await response).status).toBe(200);
  expect((await request(9_000))[1]).toBe(1_500);
  state.fails = true;
  state.takes = 0;
  const failed = failureOf(send({ method: 'GET', url: 'https://a.test/' }));
  await vi.runAllTimersAsync();
  expect(await failed).toMatchObject({ code: 'UNAVAILABLE' });
  expect(vi.getTimerCount()).toBe(0);
});
