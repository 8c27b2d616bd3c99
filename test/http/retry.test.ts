import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RegistryError } from '../../src/errors.ts';
import type { ClientEvent } from '../../src/events.ts';
import { type RetryOptions, retry } from '../../src/http/retry.ts';
import type { HttpRequest, Transport } from '../../src/http/transport.ts';
import { failsWith, failureOf, type Given, recording, textOf } from '../support/http.ts';

const now = Date.parse('2026-01-01T00:00:00Z');
const request: HttpRequest = { method: 'GET', url: 'https://registry.test/v2/a?token=secret' };

beforeEach(() => {
  vi.useFakeTimers({ now });
});
afterEach(() => {
  vi.useRealTimers();
});

type Step = Given | RegistryError;

/** Responds with these one after the other, with the last for ever; reports the waits, in milliseconds. */
function steps(list: readonly Step[], options: RetryOptions = {}) {
  const recorded = recording((_request, count) => {
    const step = list[Math.min(count, list.length) - 1] ?? {};
    if (step instanceof RegistryError) throw step;
    return step;
  });
  const events: ClientEvent[] = [];
  const send: Transport = retry({ emit: (event) => events.push(event), ...options })(recorded.transport);
  const waits = () => events.flatMap((event) => (event.type === 'wait' ? [event.milliseconds] : []));
  return { ...recorded, send, events, waits };
}

/** The outcome, with all timers run. */
async function outcomeOf<T>(call: Promise<T>): Promise<T> {
  const settled = call.then(
    (value) => () => value,
    (error: unknown) => () => {
      throw error;
    },
  );
  await vi.runAllTimersAsync();
  return (await settled)();
}

const failure = (code: string): RegistryError =>
  new RegistryError('UNAVAILABLE', `Cannot reach it: ${code}`, { cause: Object.assign(new Error(code), { code }) });

test.each([408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527])(
  '%i is sent again, up to three times in all',
  async (status) => {
    const { send, log, open } = steps([{ status, body: 'later' }, { status }, { body: 'content' }]);
    expect(await textOf(await outcomeOf(send(request)))).toBe('content');
    expect([log.length, open()]).toEqual([3, 0]);
    const lasting = steps([{ status, body: 'later' }]);
    const response = await outcomeOf(lasting.send(request));
    expect([response.status, await textOf(response), lasting.log.length]).toEqual([status, 'later', 3]);
    expect(lasting.open()).toBe(0);
  },
);

test.each([200, 206, 301, 400, 401, 403, 404, 405, 416, 501, 505])('%i is returned', async (status) => {
  const { send, log } = steps([{ status }]);
  expect((await outcomeOf(send(request))).status).toBe(status);
  expect(log.length).toBe(1);
});

test.each([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_SOCKET',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'HPE_INVALID_EOF_STATE',
])('after %s it is requested again', async (code) => {
  const { send, log } = steps([failure(code), failure(code), {}]);
  expect((await outcomeOf(send(request))).status).toBe(200);
  expect(log.length).toBe(3);
});

test.each([
  failure('ENOTFOUND'),
  failure('DEPTH_ZERO_SELF_SIGNED_CERT'),
  failure('CERT_HAS_EXPIRED'),
  failure('UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
  failure('ERR_TLS_CERT_ALTNAME_INVALID'),
  failure('UND_ERR_INVALID_ARG'),
  failure('HPE_INVALID_CONSTANT'),
  new RegistryError('TIMEOUT', 'nobody reads', { reason: 'unread' }),
  new RegistryError('ABORTED', 'enough'),
  new RegistryError('UNSAFE_URL', 'no'),
  new RegistryError('UNAUTHORIZED', 'no', { status: 401 }),
  new RegistryError('TOO_MANY_REDIRECTS', 'no'),
])('what a second try does not fix is thrown at once: %s', async (error) => {
  const { send, log } = steps([error, {}]);
  await expect(outcomeOf(send(request))).rejects.toBe(error);
  expect(log.length).toBe(1);
});

test('a realm that responds "later" is contacted again, too', async () => {
  const { send, log } = steps([
    new RegistryError('RATE_LIMITED', 'no token', { status: 429 }),
    new RegistryError('UNAVAILABLE', 'no token', { status: 503 }),
    {},
  ]);
  expect((await outcomeOf(send(request))).status).toBe(200);
  expect(log.length).toBe(3);
});

test('a host that does not respond in time is contacted again, up to three times in all', async () => {
  const late = new RegistryError('TIMEOUT', 'too late');
  const { send, log } = steps([late]);
  await expect(outcomeOf(send(request))).rejects.toBe(late);
  expect(log.length).toBe(3);
  const controller = new AbortController();
  const ended = steps([late]);
  controller.abort(late);
  await expect(outcomeOf(ended.send({ ...request, signal: controller.signal }))).rejects.toBe(late);
  expect([ended.log.length, ended.waits()]).toEqual([1, []]);
});

test.each<[string, Step, owed: object | undefined]>([
  ['a status that may pass', { status: 503 }, { tried: 1, expected: 0 }],
  ['a Retry-After', { status: 429, headers: { 'retry-after': '7' } }, { tried: 1, expected: 7_000 }],
  ['a longer one than is obeyed', { status: 429, headers: { 'retry-after': '70' } }, undefined],
  ['a connection that is refused', failure('ECONNREFUSED'), { tried: 1, expected: 30_000 }],
  ['a reset', failure('ECONNRESET'), { tried: 1, expected: 0 }],
  [
    'a time limit, shorter than the last host has',
    new RegistryError('TIMEOUT', 'late'),
    { tried: 0, expected: 10_000 },
  ],
  [
    'no request at all',
    new RegistryError('UNAVAILABLE', 'dead', { reason: 'skipped' }),
    { tried: 0, expected: 10_000 },
  ],
  ['a wrong certificate', failure('CERT_HAS_EXPIRED'), undefined],
  ['a refusal', { status: 403 }, undefined],
])('with another host left, the outcome says what the host is owed: after %s', async (_, step, owed) => {
  const { send } = steps([step]);
  const outcome = await outcomeOf(send({ ...request, more: true })).catch((error: RegistryError) => error);
  expect(outcome.owed).toEqual(owed);
  expect((await outcomeOf(steps([step]).send(request)).catch((error: RegistryError) => error)).owed).toBe(undefined);
});

test('tries that a host had while another was left are counted, and waited after', async () => {
  const { send, log, waits } = steps([{ status: 503 }], { backoff: 100 });
  await outcomeOf(send({ ...request, tried: 1 }));
  expect([log.length, waits().length]).toEqual([2, 2]);
  expect(waits()[0]).toBeLessThanOrEqual(150);
  expect(waits()[1]).toBeGreaterThanOrEqual(100);
});

test('a host that has served before is tried for ten seconds, unless the number of tries is given', async () => {
  const known = steps([{}, { status: 503 }]);
  await outcomeOf(known.send(request));
  const started = Date.now();
  await outcomeOf(known.send(request));
  expect(Date.now() - started).toBeGreaterThanOrEqual(5_000);
  // The last wait begins within ten seconds, and takes at most five.
  expect(Date.now() - started).toBeLessThanOrEqual(15_000);
  expect(known.log.length).toBeGreaterThanOrEqual(6);
  const other = steps([{}, { status: 503 }]);
  await outcomeOf(other.send({ ...request, url: 'https://other.test/' }));
  await outcomeOf(other.send(request));
  expect(other.log.length, 'another host').toBe(1 + 3);
  const given = steps([{}, { status: 503 }], { tries: 4 });
  for (let count = 0; count < 2; count += 1) await outcomeOf(given.send(request));
  expect(given.log.length).toBe(1 + 4);
});

test('an error of another kind is not tried again', async () => {
  let count = 0;
  const send = retry()(() => {
    count += 1;
    return Promise.reject(new TypeError('a bug'));
  });
  await expect(outcomeOf(send(request))).rejects.toThrow('a bug');
  expect(count).toBe(1);
});

test('with another host left nothing is tried again', async () => {
  for (const step of [{ status: 503 }, { status: 429, headers: { 'retry-after': '1' } }, failure('ECONNRESET')]) {
    const { send, log, waits } = steps([step, {}]);
    await outcomeOf(send({ ...request, more: true })).catch(() => undefined);
    expect([log.length, waits()]).toEqual([1, []]);
  }
});

test('waits double, give or take a half', async () => {
  const seen: number[][] = [[], [], []];
  for (let count = 0; count < 200; count += 1) {
    const { send, waits } = steps([{ status: 503 }], { tries: 4, backoff: 100 });
    await outcomeOf(send(request));
    for (const [index, wait] of waits().entries()) seen[index]?.push(wait);
  }
  for (const [index, waits] of seen.entries()) {
    const middle = 100 * 2 ** index;
    expect(waits.length).toBe(200);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(middle * 0.5);
    expect(Math.max(...waits)).toBeLessThanOrEqual(middle * 1.5);
    expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(middle * 0.5);
  }
});

test('however many tries, no wait is longer than a minute', async () => {
  const { send, waits, log } = steps([{ status: 503 }], { tries: 60 });
  await outcomeOf(send(request));
  expect(log.length).toBe(60);
  expect(Math.max(...waits())).toBe(60_000);
});

test.each([
  ['2', 2_000],
  [' 60 ', 60_000],
  [new Date(now + 5_000).toUTCString(), 5_000],
  ['Thursday, 01-Jan-26 00:00:07 GMT', 7_000],
  ['Thu Jan  1 00:00:09 2026', 9_000],
])('a Retry-After of "%s" is obeyed', async (field, milliseconds) => {
  const { send, waits } = steps([{ status: 429, headers: { 'retry-after': field } }, {}], { backoff: 1 });
  const call = send(request);
  await vi.advanceTimersByTimeAsync(milliseconds - 1);
  expect(waits()).toEqual([milliseconds]);
  expect((await outcomeOf(call)).status).toBe(200);
});

test.each(['0', new Date(now - 5_000).toUTCString(), 'soon', '-5', '1.5', ''])(
  'a Retry-After of "%s" keeps the default wait',
  async (field) => {
    const { send, waits } = steps([{ status: 429, headers: { 'retry-after': field } }, {}], { backoff: 100 });
    await outcomeOf(send(request));
    expect(waits()[0]).toBeGreaterThanOrEqual(50);
    expect(waits()[0]).toBeLessThanOrEqual(150);
  },
);

test.each(['61', '9'.repeat(400), new Date(now + 3_600_000).toUTCString()])(
  'a Retry-After of "%s", over the limit, ends the tries',
  async (field) => {
    const { send, log } = steps([{ status: 429, headers: { 'retry-after': field } }, {}]);
    expect((await outcomeOf(send(request))).status).toBe(429);
    expect(log.length).toBe(1);
    const patient = steps([{ status: 429, headers: { 'retry-after': '61' } }, {}], { retryAfter: 61_000 });
    expect((await outcomeOf(patient.send(request))).status).toBe(200);
  },
);

test('a wait ends with ABORTED as soon as the signal fires', async () => {
  const controller = new AbortController();
  const { send, log } = steps([{ status: 503, headers: { 'retry-after': '30' } }, {}]);
  const call = failureOf(send({ ...request, signal: controller.signal }));
  await vi.advanceTimersByTimeAsync(1_000);
  const reason = new Error('enough');
  controller.abort(reason);
  expect(await call).toEqual(failsWith('ABORTED', { cause: reason }));
  expect([log.length, vi.getTimerCount()]).toEqual([1, 0]);
});

test('a wait is reported, with its reason and without secrets', async () => {
  const { send, events } = steps([{ status: 503 }, failure('ECONNRESET'), {}]);
  await outcomeOf(send(request));
  expect(events).toEqual([
    {
      type: 'wait',
      url: 'https://registry.test/v2/a?token=***',
      milliseconds: expect.any(Number),
      reason: 'status 503',
    },
    expect.objectContaining({ type: 'wait', reason: 'Cannot reach it: ECONNRESET' }),
  ]);
});

test('with one try there is no second one', async () => {
  const { send, log } = steps([{ status: 503 }], { tries: 1 });
  expect((await outcomeOf(send(request))).status).toBe(503);
  expect(log.length).toBe(1);
});
