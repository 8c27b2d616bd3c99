import { expect, test } from 'vitest';
import { createBody } from '../../src/body.ts';
import { RegistryError } from '../../src/errors.ts';
import type { ClientEvent } from '../../src/events.ts';
import { health } from '../../src/http/health.ts';
import type { HttpRequest, Transport } from '../../src/http/transport.ts';
import { failsWith, failureOf, type Given, recording, textOf } from '../support/http.ts';

const refused = (code = 'ECONNREFUSED'): RegistryError =>
  new RegistryError('UNAVAILABLE', `Cannot reach it: ${code}`, { cause: Object.assign(new Error(code), { code }) });
const late = new RegistryError('TIMEOUT', 'too late');

const at = (url: string, more = true, signal?: AbortSignal): HttpRequest => ({ method: 'GET', url, more, signal });
const mirror = 'https://mirror.test/v2/a?token=secret';

/** A host that does as `next` says, and a clock. */
function world() {
  const state: { now: number; next: RegistryError | Promise<Given> | Given } = { now: 1_000, next: {} };
  const recorded = recording(() => {
    const { next } = state;
    if (next instanceof RegistryError) throw next;
    return next;
  });
  const events: ClientEvent[] = [];
  const wrapper = health({ pause: 500, now: () => state.now, emit: (event) => events.push(event) });
  return { ...recorded, state, events, send: wrapper(recorded.transport) };
}

test.each([
  late,
  refused(),
  refused('EHOSTUNREACH'),
  refused('ENETUNREACH'),
  refused('ETIMEDOUT'),
  refused('ENOTFOUND'),
  refused('UND_ERR_CONNECT_TIMEOUT'),
])('after %s the host is skipped while another is left', async (error) => {
  const { send, log, events, state } = world();
  state.next = error;
  expect(await failureOf(send(at(mirror)))).toBe(error);
  for (let count = 0; count < 3; count += 1) {
    const passed = await failureOf(send(at('https://mirror.test/v2/b')));
    expect(passed).toEqual(failsWith('UNAVAILABLE', { host: 'mirror.test' }));
    expect(String(passed)).toContain('"mirror.test"');
  }
  expect(log.length).toBe(1);
  expect(events[0]).toMatchObject({ type: 'skip', url: 'https://mirror.test' });
  expect(events.length).toBe(3);
});

test.each([
  refused('ECONNRESET'),
  refused('UND_ERR_SOCKET'),
  refused('DEPTH_ZERO_SELF_SIGNED_CERT'),
  new RegistryError('UNAUTHORIZED', 'no token'),
  new RegistryError('UNSAFE_URL', 'no'),
])('after %s it is contacted again', async (error) => {
  const { send, log, state } = world();
  state.next = error;
  await failureOf(send(at(mirror)));
  await failureOf(send(at(mirror)));
  expect(log.length).toBe(2);
});

test('no status makes a host dead', async () => {
  const { send, log, state } = world();
  state.next = { status: 503 };
  await send(at(mirror));
  await send(at(mirror));
  expect(log.length).toBe(2);
});

test('if no other host is left a dead one is contacted, and is no longer dead when it responds', async () => {
  const { send, log, state } = world();
  state.next = late;
  await failureOf(send(at(mirror)));
  expect(await failureOf(send(at(mirror, false)))).toBe(late);
  state.next = {};
  expect((await send(at(mirror, false))).status).toBe(200);
  expect((await send(at(mirror))).status).toBe(200);
  expect(log.length).toBe(4);
});

test('other origins are contacted as before: another host, another port, another scheme', async () => {
  const { send, state } = world();
  state.next = late;
  await failureOf(send(at(mirror)));
  state.next = {};
  for (const url of ['https://other.test/', 'https://mirror.test:444/', 'http://mirror.test/']) {
    expect((await send(at(url))).status).toBe(200);
  }
});

test('after the pause one request is sent as a probe, and the others skip the host until it has responded', async () => {
  const { send, log, state } = world();
  state.next = late;
  await failureOf(send(at(mirror)));
  state.now += 499;
  expect(await failureOf(send(at(mirror)))).toEqual(failsWith('UNAVAILABLE'));
  state.now += 1;
  let answer: (given: Given) => void = () => undefined;
  state.next = new Promise<Given>((resolve) => {
    answer = resolve;
  });
  const probe = send(at(mirror));
  expect(await failureOf(send(at(mirror)))).toEqual(failsWith('UNAVAILABLE'));
  answer({});
  expect((await probe).status).toBe(200);
  expect((await send(at(mirror))).status).toBe(200);
  expect(log.length).toBe(3);
});

test('a probe that fails starts the pause again', async () => {
  const { send, log, state } = world();
  state.next = late;
  await failureOf(send(at(mirror)));
  state.now += 500;
  expect(await failureOf(send(at(mirror)))).toBe(late);
  state.now += 499;
  expect(await failureOf(send(at(mirror)))).toEqual(failsWith('UNAVAILABLE'));
  expect(log.length).toBe(2);
});

test('a request that its caller cancelled shows nothing about the host', async () => {
  const { send, log, state } = world();
  const called = new RegistryError('ABORTED', 'enough');
  state.next = called;
  expect(await failureOf(send(at(mirror, true, AbortSignal.abort())))).toBe(called);
  state.next = late;
  expect(await failureOf(send(at(mirror, true, AbortSignal.abort())))).toBe(late);
  expect(await failureOf(send(at(mirror)))).toBe(late);
  state.now += 500;
  state.next = called;
  expect(await failureOf(send(at(mirror)))).toBe(called);
  state.next = {};
  expect((await send(at(mirror))).status, 'the next one is the probe').toBe(200);
  expect(log.length).toBe(5);
});

/** A host with controlled bodies, at `https://mirror.test`. */
function bodies(signal?: AbortSignal) {
  const state: { now: number; body: 'whole' | 'empty' | 'stalling' | 'broken' } = { now: 1_000, body: 'whole' };
  let sent = 0;
  const next = (): Uint8Array | undefined => {
    if (state.body === 'stalling') throw new RegistryError('TIMEOUT', 'no byte came');
    if (state.body === 'broken') throw new RegistryError('UNEXPECTED_END', 'cut');
    return undefined;
  };
  const transport: Transport = async ({ url }) => {
    sent += 1;
    const first = state.body === 'empty' ? [] : [new Uint8Array(5)];
    const made = createBody({ next: () => first.shift() ?? next(), cancel: () => {} }, { signal });
    return { status: 200, headers: {}, url, ...made };
  };
  const send = health({ pause: 500, now: () => state.now })(transport);
  const read = async (more = true): Promise<unknown> => {
    const response = await send(at(mirror, more, signal));
    const text = await textOf(response).catch((error: unknown) => error);
    await response.ended;
    return text;
  };
  return { state, send, read, sent: () => sent };
}

test('a host whose body stalls is skipped too: a mirror that starts and stops costs one time limit', async () => {
  const { state, read, send, sent } = bodies();
  state.body = 'stalling';
  expect(await read()).toEqual(failsWith('TIMEOUT'));
  for (let count = 0; count < 3; count += 1) {
    expect(await failureOf(send(at(mirror)))).toEqual(failsWith('UNAVAILABLE', { host: 'mirror.test' }));
  }
  expect(sent()).toBe(1);
  state.now += 500;
  const probe = await send(at(mirror));
  expect(await failureOf(send(at(mirror))), 'the head of a probe proves nothing').toEqual(failsWith('UNAVAILABLE'));
  expect(await failureOf(textOf(probe))).toEqual(failsWith('TIMEOUT'));
  state.now += 500;
  state.body = 'whole';
  expect(await read()).toHaveLength(5);
  expect(await read()).toHaveLength(5);
  expect(sent()).toBe(4);
});

test('a probe of a stalling host without a body, or whose body was not read, shows nothing: the next request is a probe', async () => {
  const { state, read, send, sent } = bodies();
  state.body = 'stalling';
  await read();
  state.now += 500;
  state.body = 'empty';
  expect(await read()).toBe('');
  const unwanted = await send(at(mirror));
  await unwanted.body.cancel();
  await unwanted.ended;
  state.body = 'whole';
  expect(await read()).toHaveLength(5);
  expect(sent()).toBe(4);
});

test('a body that breaks, is cancelled, or is ended by its caller does not make a host dead', async () => {
  const broken = bodies();
  broken.state.body = 'broken';
  expect(await broken.read()).toEqual(failsWith('UNEXPECTED_END'));
  expect(await broken.read()).toEqual(failsWith('UNEXPECTED_END'));
  const controller = new AbortController();
  const ended = bodies(controller.signal);
  const response = await ended.send(at(mirror, true, controller.signal));
  controller.abort(new RegistryError('TIMEOUT', 'the operation took too long'));
  expect(await response.ended).toMatchObject({ error: failsWith('TIMEOUT') });
  expect(await ended.send(at(mirror))).toMatchObject({ status: 200 });
});

test('of more than a thousand dead hosts the first one is contacted again', async () => {
  const { send, log, state } = world();
  state.next = late;
  for (let index = 0; index <= 1_000; index += 1) await failureOf(send(at(`https://m${index}.test/`)));
  expect(await failureOf(send(at('https://m1.test/')))).toEqual(failsWith('UNAVAILABLE'));
  expect(await failureOf(send(at('https://m0.test/')))).toBe(late);
  expect(log.length).toBe(1_002);
});

test('a host that has responded before and is late for the first time is skipped for a sixth of the pause, then for all of it', async () => {
  const { send, log, state } = world();
  await send(at(mirror));
  for (const pause of [500 / 6, 500]) {
    state.next = late;
    expect(await failureOf(send(at(mirror)))).toBe(late);
    state.now += pause - 1;
    expect(await failureOf(send(at(mirror)))).toEqual(failsWith('UNAVAILABLE'));
    state.now += 1.5;
  }
  state.next = {};
  expect((await send(at(mirror))).status).toBe(200);
  expect(log.length).toBe(4);
});
