import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { sleep } from '../../src/abort.ts';
import type { ClientEvent } from '../../src/events.ts';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { samples } from '../contract/source.ts';
import { type Answer, createHosts, errorOf, sampleHost } from '../support/hosts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const { descriptor } = samples.wide;
const name = 'registry.test/app';

/** A mirror that answers with these first and then as it should, and a registry that refuses connections unless it has an answer. */
async function closedNetwork(first: readonly Answer[], registry?: Answer, options: ClientOptions = {}) {
  const answers = [...first];
  const healthy = await sampleHost();
  const mirror: Answer = (request) => (answers.shift() ?? healthy)(request);
  const hosts = createHosts({ 'mirror.test': mirror, ...(registry && { 'registry.test': registry }) });
  const events: ClientEvent[] = [];
  const client = createClient({
    config: { registries: { 'registry.test': { mirrors: [{ url: 'https://mirror.test' }] } } },
    transport: hosts.transport,
    onEvent: (event) => events.push(event),
    ...options,
  });
  const started = Date.now();
  const read = async (): Promise<string> => (await client.fetcher(name).fetch(descriptor)).text();
  /** Names of the hosts that were contacted, in their order. */
  const contacted = (): string => hosts.requests.map(({ url }) => new URL(url).hostname.split('.')[0]).join(' ');
  return { client, read, contacted, events, seconds: () => (Date.now() - started) / 1000, hosts };
}

/** The outcome, with all timers run. */
async function outcomeOf<T>(call: Promise<T>): Promise<T> {
  call.catch(() => undefined);
  await vi.runAllTimersAsync();
  return call;
}

const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  () =>
    new Response('{}', { status: code, headers });
const afterSeconds =
  (seconds: number, answer: Answer): Answer =>
  async (request) => {
    await sleep(seconds * 1000, request.signal);
    return answer(request);
  };
const reset: Answer = () => {
  throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
};

test.each<[string, Answer, seconds: number]>([
  ['a 503', status(503), 0],
  ['a 429 with Retry-After: 1', status(429, { 'retry-after': '1' }), 1],
  ['a reset', reset, 0],
  ['a 520', status(520), 0],
])('after %s of the only host that can be reached it is contacted again, and is not dead', async (_, answer, least) => {
  const { read, contacted, seconds } = await closedNetwork([answer]);
  expect(await outcomeOf(read())).toBe('by sha512');
  expect(contacted()).toBe('mirror registry mirror');
  expect(seconds()).toBeGreaterThanOrEqual(least);
  expect(seconds()).toBeLessThan(2);
  expect(await outcomeOf(read())).toBe('by sha512');
  expect(contacted()).toBe('mirror registry mirror mirror');
});

test('a first byte after 12 s, which is too late while another host is left, is waited for if none is', async () => {
  const slow = afterSeconds(12, await sampleHost());
  const { read, contacted, seconds } = await closedNetwork([slow, slow]);
  expect(await outcomeOf(read())).toBe('by sha512');
  expect(contacted()).toBe('mirror registry mirror');
  expect(seconds()).toBeCloseTo(22, 0);
  expect(await outcomeOf(read())).toBe('by sha512');
  expect(contacted(), 'it is not dead').toBe('mirror registry mirror mirror');
});

test('of two hosts that say "later" the one that asks for the shorter wait is contacted first', async () => {
  const answers = [status(429, { 'retry-after': '2' })];
  const healthy = await sampleHost();
  const registry: Answer = (request) => (answers.shift() ?? healthy)(request);
  const { read, contacted, seconds } = await closedNetwork([status(503, { 'retry-after': '9' })], registry);
  expect(await outcomeOf(read())).toBe('by sha512');
  expect([contacted(), Math.round(seconds())]).toEqual(['mirror registry registry', 2]);
});

test('when all have failed for good, each had its tries, and the error lists the attempts of all', async () => {
  const always = Array.from({ length: 9 }, () => status(503));
  const { read, contacted } = await closedNetwork(always, status(404), { retries: { backoff: 1 } });
  const error = await outcomeOf(errorOf(read()));
  expect(contacted()).toBe('mirror registry mirror mirror');
  expect(error.code).toBe('UNAVAILABLE');
  expect(error.attempts.map(({ host }) => host)).toEqual(['mirror.test', 'registry.test', 'mirror.test']);
});

test('with one try for each host nothing is sent again', async () => {
  const { read, contacted } = await closedNetwork([status(503)], status(404), { retries: { tries: 1 } });
  expect((await outcomeOf(errorOf(read()))).code).toBe('UNAVAILABLE');
  expect(contacted()).toBe('mirror registry');
});

test.each([404, 403])('a host that refuses with %i is not contacted again', async (code) => {
  const { read, contacted } = await closedNetwork([status(code)], status(404));
  await outcomeOf(errorOf(read()));
  expect(contacted()).toBe('mirror registry');
});

test('a mirror that refuses with 400 is contacted once more, without ns, and not again', async () => {
  const { read, contacted } = await closedNetwork([status(400), status(400)], status(404));
  await outcomeOf(errorOf(read()));
  expect(contacted()).toBe('mirror mirror registry');
});

test('a host that asked to wait is not contacted before that for other contents, while another is left', async () => {
  const { client, contacted, events } = await closedNetwork(
    Array.from({ length: 9 }, () => status(429, { 'retry-after': '30' })),
    await sampleHost(),
  );
  const read = async (target = descriptor) => (await client.fetcher(name).fetch(target)).bytes();
  for (const sample of [samples.large, samples.config, samples.wide]) await outcomeOf(read(sample.descriptor));
  expect(contacted()).toBe('mirror registry registry registry');
  expect(events.find(({ type }) => type === 'skip')).toMatchObject({ url: 'https://mirror.test' });
  await vi.advanceTimersByTimeAsync(30_000);
  await outcomeOf(read());
  expect(contacted()).toBe('mirror registry registry registry mirror registry');
});

test('a host that has responded before and is late costs one time limit, and is tried again after 5 s; one that never has, after 30', async () => {
  const never = (): Promise<never> => new Promise(() => {});
  const healthy = await sampleHost();
  const options = { timeouts: { hedge: 0 } };
  const known = await closedNetwork([healthy, never], healthy, options);
  for (let count = 0; count < 4; count += 1) await outcomeOf(known.read());
  expect(known.contacted()).toBe('mirror mirror registry registry registry');
  await vi.advanceTimersByTimeAsync(5_000);
  await outcomeOf(known.read());
  await outcomeOf(known.read());
  expect(known.contacted()).toBe('mirror mirror registry registry registry mirror mirror');
  const unknown = await closedNetwork([never], healthy, options);
  for (let count = 0; count < 3; count += 1) await outcomeOf(unknown.read());
  await vi.advanceTimersByTimeAsync(5_000);
  await outcomeOf(unknown.read());
  expect(unknown.contacted()).toBe('mirror registry registry registry registry');
});

test('a tag is resolved by the same rule', async () => {
  const { client, contacted } = await closedNetwork([status(503)]);
  const resolved = await outcomeOf(client.resolve(`${name}:latest`));
  expect(resolved.descriptor.digest).toBe(samples.manifest.descriptor.digest);
  expect(contacted()).toBe('mirror registry mirror');
});

/** A registry alone that answers with these first, and a client with the settings of a configuration. */
async function alone(first: readonly Answer[], config: ClientOptions['config'], options: ClientOptions = {}) {
  const answers = [...first];
  const healthy = await sampleHost();
  const hosts = createHosts({ 'registry.test': (request) => (answers.shift() ?? healthy)(request) });
  const client = createClient({ transport: hosts.transport, config, ...options });
  const read = async (): Promise<string> => (await client.fetcher(name).fetch(descriptor)).text();
  return { read, hosts };
}

test('an outage of three seconds, without Retry-After, is survived once the registry has served', async () => {
  const started = Date.now();
  const down: Answer = () =>
    new Response('', { status: Date.now() - started > 5_000 && Date.now() - started < 8_000 ? 503 : 200 });
  const healthy = await sampleHost();
  const answer: Answer = async (request) => {
    const response = await down(request);
    return response.status === 503 ? response : healthy(request);
  };
  const hosts = createHosts({ 'registry.test': answer });
  const client = createClient({ transport: hosts.transport });
  const read = async (): Promise<string> => (await client.fetcher(name).fetch(descriptor)).text();
  expect(await outcomeOf(read())).toBe('by sha512');
  await vi.advanceTimersByTimeAsync(5_001);
  expect(await outcomeOf(read())).toBe('by sha512');
  expect(Date.now() - started).toBeGreaterThanOrEqual(8_000);
});

test('the options of the client take precedence over the configuration, one by one', async () => {
  const always = Array.from({ length: 9 }, () => status(503));
  const config = { retries: { tries: 2, backoff: 60_000 } };
  const started = Date.now();
  const { read, hosts } = await alone(always, config, { retries: { backoff: 1, tries: undefined } });
  expect((await outcomeOf(errorOf(read()))).code).toBe('UNAVAILABLE');
  expect([hosts.requests.length, Date.now() - started < 1_000]).toEqual([2, true]);
});
