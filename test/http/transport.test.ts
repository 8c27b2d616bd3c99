import { expect, test } from 'vitest';
import { bytesBody } from '../../src/body.ts';
import { type HttpResponse, timeoutsOf, type Wrapper, whenEnded, wrap } from '../../src/http/transport.ts';
import { endpointOf, failsWith, recording, textOf } from '../support/http.ts';

const request = { method: 'GET', url: 'https://registry.test/' };

test('the first wrapper is the outermost', async () => {
  const order: string[] = [];
  const named =
    (name: string): Wrapper =>
    (next) =>
    (request) => {
      order.push(name);
      return next(request);
    };
  const { transport, log } = recording(() => ({}));
  await wrap(transport, named('a'), named('b'), named('c'))(request);
  expect([...order, ...log]).toEqual(['a', 'b', 'c', 'GET https://registry.test/']);
  expect(wrap(transport)).toBe(transport);
});

test('limits are shorter if another host is left, unless they are given', () => {
  const usual = { idle: 30_000, minimumSpeed: 0 };
  expect(timeoutsOf(request, {})).toEqual({ connect: 10_000, headers: 30_000, ...usual });
  expect(timeoutsOf({ ...request, more: true }, {})).toEqual({ connect: 3_000, headers: 10_000, ...usual });
  expect(timeoutsOf({ ...request, canLeave: true }, {}).minimumSpeed).toBe(4_096);
  const given = { connect: 1, headers: 2, idle: 3, minimumSpeed: 4 };
  expect(timeoutsOf({ ...request, more: true, canLeave: true }, given)).toEqual(given);
  const endpoint = endpointOf('https://registry.test/v2', { connectTimeout: 9 });
  expect(timeoutsOf({ ...request, endpoint }, given)).toEqual({ ...given, connect: 9, minimumSpeed: 0 });
});

test('the end of a body is reported once to each listener, also for a transport that does not report it', async () => {
  const silent = (): HttpResponse => ({
    status: 200,
    headers: {},
    body: bytesBody(new TextEncoder().encode('text')),
    url: request.url,
  });
  for (const leave of [false, true]) {
    const reported: unknown[] = [];
    const once = whenEnded(silent(), (end) => reported.push(end));
    const twice = whenEnded(once, (end) => reported.push(end));
    expect(twice).toBe(once);
    if (leave) await twice.body.cancel();
    else expect(await textOf(twice)).toBe('text');
    await twice.ended;
    const end = leave ? { bytes: 0, error: failsWith('ABORTED') } : { bytes: 4 };
    expect(reported).toEqual([end, end]);
  }
});
