import { testRegistry } from 'ocifetch/testing';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { sleep } from '../../src/abort.ts';
import type { ClientEvent } from '../../src/events.ts';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { samples } from '../contract/source.ts';
import { type Answer, createHosts, errorOf, sampleHost } from '../support/hosts.ts';
import { deadPort } from '../support/http.ts';

const { descriptor } = samples.wide;
const name = 'registry.test/app';

/** Mirrors in this order before a registry; each answers as its function, or not at all. */
function network(answers: Readonly<Record<string, Answer>>, options: ClientOptions = {}) {
  const urls = Object.keys(answers).filter((host) => host !== 'registry');
  const named = Object.fromEntries(Object.entries(answers).map(([host, answer]) => [`${host}.test`, answer]));
  const hosts = createHosts(named);
  const events: ClientEvent[] = [];
  const mirrors = urls.map((host) => ({ url: `https://${host}.test` }));
  const { config, ...more } = options;
  const client = createClient({
    config: { registries: { 'registry.test': { mirrors } }, ...config },
    transport: hosts.transport,
    onEvent: (event) => events.push(event),
    ...more,
  });
  const started = performance.now();
  const hedges = () =>
    events.flatMap((event) =>
      event.type === 'hedge' ? [`${new URL(event.from).host} ${new URL(event.to).host}`.replaceAll('.test', '')] : [],
    );
  return {
    client,
    hosts,
    events,
    hedges,
    open: (call = {}) => client.fetcher(name).source.fetch(descriptor, call),
    read: async (target = descriptor) => (await client.fetcher(name).fetch(target)).bytes(),
    contacted: () => hosts.requests.map(({ url }) => new URL(url).hostname.split('.')[0]).join(' '),
    passed: () => performance.now() - started,
  };
}

/** The outcome, with all timers run. */
async function outcomeOf<T>(call: Promise<T>): Promise<T> {
  call.catch(() => undefined);
  await vi.runAllTimersAsync();
  return call;
}

const healthy = await sampleHost();
const silent: Answer = ({ signal }) => sleep(1e8, signal) as Promise<never>;
const later =
  (milliseconds: number, answer: Answer = healthy): Answer =>
  async (request) => {
    await sleep(milliseconds, request.signal);
    return answer(request);
  };
const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  () =>
    new Response('{}', { status: code, headers });

describe('with the clock at hand', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('a silent mirror costs 300 ms once, and is requested last for 5 s, then once more', async () => {
    const { read, contacted, passed, hedges, hosts } = network({ mirror: silent, registry: healthy });
    for (let count = 0; count < 40; count += 1) await outcomeOf(read());
    expect(contacted()).toBe(`mirror${' registry'.repeat(40)}`);
    expect(passed()).toBeLessThan(320);
    expect(hosts.requests[0]?.signal.aborted).toBe(true);
    expect(hedges()).toEqual(['mirror registry']);
    await vi.advanceTimersByTimeAsync(5_000);
    await outcomeOf(read());
    await outcomeOf(read());
    expect(contacted().slice(-'registry mirror registry registry'.length)).toBe('registry mirror registry registry');
  });

  test('a slow answer is used if it comes first, and a host that is slow each time keeps its place', async () => {
    const { read, contacted, hedges, passed } = network({ mirror: later(500), registry: later(400) });
    await outcomeOf(read());
    expect([contacted(), hedges()]).toEqual(['mirror registry', ['mirror registry']]);
    expect(passed()).toBeLessThan(520);
    await outcomeOf(read());
    expect(contacted(), 'three times 500 ms are its time now').toBe('mirror registry mirror');
  });

  test('a mirror that fills for two seconds loses the first content, and has its traffic when it has been tried again', async () => {
    const waits = [2_000];
    const mirror: Answer = (request) => later(waits.shift() ?? 0)(request);
    const { read, contacted } = network({ mirror, registry: healthy });
    await outcomeOf(read());
    await outcomeOf(read());
    expect(contacted()).toBe('mirror registry registry');
    await vi.advanceTimersByTimeAsync(5_000);
    await outcomeOf(read());
    await outcomeOf(read());
    expect(contacted()).toBe('mirror registry registry mirror mirror');
  });

  test('of several silent mirrors each costs 300 ms, and there is one extra request at a time', async () => {
    const { read, contacted, hedges, passed, hosts } = network({ a: silent, b: silent, c: silent, registry: healthy });
    await outcomeOf(read());
    expect(contacted()).toBe('a b c registry');
    expect(hedges()).toEqual(['a b', 'b c', 'c registry']);
    expect(passed()).toBeLessThan(950);
    expect(hosts.requests.map(({ signal }) => signal.aborted)).toEqual([true, true, true, false]);
  });

  test('the last host has its time limits, also after others have failed', async () => {
    const only = network({ registry: later(20_000) });
    await outcomeOf(only.read());
    expect([only.contacted(), only.hedges()]).toEqual(['registry', []]);
    const last = network({ mirror: status(404), registry: later(20_000) });
    await outcomeOf(last.read());
    expect([last.contacted(), last.hedges()]).toEqual(['mirror registry', []]);
    const slow = network({ mirror: later(6_000), registry: status(404) });
    await outcomeOf(slow.read());
    expect([slow.contacted(), slow.hedges()]).toEqual(['mirror registry', ['mirror registry']]);
  });

  test('a tag is what the first host says, if that answers a little later, as tags may differ', async () => {
    const text = (value: string) => new TextEncoder().encode(value);
    const manifest = (value: string): Answer => {
      const type = 'application/vnd.oci.image.manifest.v1+json';
      return () =>
        new Response(text(`{"schemaVersion":2,"layers":[],"config":{},"note":"${value}"}`), {
          headers: { 'content-type': type },
        });
    };
    const resolveWith = async (mirror: Answer) => {
      const { client, contacted } = network({ mirror, registry: manifest('registry') });
      const { descriptor: found } = await outcomeOf(client.resolve(`${name}:1`));
      return { size: found.size, contacted: contacted() };
    };
    const [fromMirror, fromRegistry] = [62, 64];
    const first = await resolveWith(later(10, manifest('mirror')));
    expect(first.contacted).not.toContain('registry');
    const late = await resolveWith(later(390, manifest('mirror')));
    expect([late.size, late.contacted.includes('registry')]).toEqual([first.size, true]);
    const tooLate = await resolveWith(later(450, manifest('mirror')));
    expect(tooLate.size - first.size).toBe(fromRegistry - fromMirror);
  });

  test('none is sent to a host that asked to wait, while another one may still answer', async () => {
    const busy = status(429, { 'retry-after': '30' });
    const state: { mirror: Answer } = { mirror: status(404) };
    const { read, contacted, hedges } = network({
      mirror: (request) => state.mirror(request),
      busy,
      registry: healthy,
    });
    await outcomeOf(read());
    expect(contacted()).toBe('mirror busy registry');
    state.mirror = silent;
    await vi.advanceTimersByTimeAsync(6_000);
    await outcomeOf(read(samples.large.descriptor));
    expect(contacted()).toBe('mirror busy registry mirror registry');
    expect(hedges()).toEqual(['mirror registry']);
    const two = network({ mirror: (request) => state.mirror(request), registry: busy });
    state.mirror = status(503);
    expect((await outcomeOf(errorOf(two.read()))).code).toBe('RATE_LIMITED');
    const before = two.contacted();
    state.mirror = later(3_000);
    await outcomeOf(two.read());
    expect(two.contacted()).toBe(`${before} mirror`);
    expect(two.hedges()).toEqual([]);
  });

  test('when all fail, the one that was given up is tried in full, and the error lists all attempts as they were', async () => {
    const { read, contacted } = network(
      { a: later(900, status(503)), b: later(900, status(404)), registry: status(404) },
      { retries: { tries: 1 } },
    );
    const error = await outcomeOf(errorOf(read()));
    expect(contacted()).toBe('a b registry a');
    expect(error.code).toBe('UNAVAILABLE');
    expect(error.attempts.map(({ host, outcome }) => `${host} ${outcome}`).sort()).toEqual([
      'a.test ABORTED',
      'a.test UNAVAILABLE',
      'b.test NOT_FOUND',
      'registry.test NOT_FOUND',
    ]);
    const [given] = error.attempts.filter(({ outcome }) => outcome === 'ABORTED');
    expect(given?.message).toMatch(/no response in 6\d\d ms, so another host is requested/);
  });

  test('content that no host has is NOT_FOUND, although one was given up meanwhile', async () => {
    const { read, contacted } = network({
      a: later(900, status(404)),
      b: later(900, status(404)),
      registry: status(404),
    });
    const error = await outcomeOf(errorOf(read()));
    expect([error.code, contacted()]).toEqual(['NOT_FOUND', 'a b registry a']);
  });

  test('an abort ends both requests', async () => {
    const controller = new AbortController();
    const { open, hosts } = network({ mirror: silent, registry: silent });
    const error = errorOf(open({ signal: controller.signal }));
    await vi.advanceTimersByTimeAsync(400);
    expect(hosts.requests).toHaveLength(2);
    controller.abort(new Error('enough'));
    expect(await error).toMatchObject({ code: 'ABORTED', attempts: [{ outcome: 'ABORTED' }] });
    await vi.advanceTimersByTimeAsync(1);
    expect(hosts.requests.map(({ signal }) => signal.aborted)).toEqual([true, true]);
  });

  test('0 is never: the silent host has its time limit', async () => {
    const { read, contacted, hedges, passed } = network(
      { mirror: silent, registry: healthy },
      { timeouts: { hedge: 0 } },
    );
    await outcomeOf(read());
    expect([contacted(), hedges(), Math.round(passed() / 1_000)]).toEqual(['mirror registry', [], 10]);
  });

  test('each host gets its own login and headers, also in an extra request', async () => {
    const mirrors = [{ url: 'https://mirror.test', headers: { 'x-key': 'of the mirror' } }];
    const origin = { headers: { 'x-key': 'of the registry' } };
    const config = { registries: { 'registry.test': { mirrors, origin } } };
    const { read, hosts } = network({ mirror: silent, registry: healthy }, { config });
    await outcomeOf(read());
    expect(hosts.requests.map(({ headers }) => headers.get('x-key'))).toEqual(['of the mirror', 'of the registry']);
    expect(new URL(hosts.requests[0]?.url ?? '').search).toBe('?ns=registry.test');
    expect(new URL(hosts.requests[1]?.url ?? '').search).toBe('');
  });

  test('the lists of a repository come from the next host while the first one is silent', async () => {
    const tags: Answer = () => Response.json({ name: 'app', tags: ['1'] });
    const { client, hedges, passed } = network({ mirror: silent, registry: tags });
    expect(await outcomeOf(client.fetcher(name).tags())).toEqual(['1']);
    expect(hedges()).toEqual(['mirror registry']);
    expect(passed()).toBeLessThan(450);
  });

  test('a plan and the attempts say how long each host may be slow, the last one as long as its limits are', async () => {
    const { client, events, read } = network({ a: healthy, b: healthy, registry: healthy });
    const waits = client.plan(name).endpoints.map(({ hedge, crawl }) => [hedge, crawl]);
    expect(waits).toEqual([
      [300, 5_000],
      [300, 5_000],
      [undefined, undefined],
    ]);
    await outcomeOf(read());
    expect(events.find(({ type }) => type === 'attempt')).toMatchObject({ hedge: 300, crawl: 5_000 });
    const off = network({ a: healthy, registry: healthy }, { timeouts: { hedge: 0, crawl: 7 } });
    expect(off.client.plan(name).endpoints[0]).toMatchObject({ crawl: 7 });
    expect(off.client.plan(name).endpoints[0]?.hedge).toBeUndefined();
  });
});

/** An image with 40 layers, each small. */
const layers = Array.from({ length: 40 }, (_, index) => ({ bytes: new Uint8Array(2_000).fill(index + 1) }));

/** A registry that has the image, and pulls through a mirror at this URL. */
async function pulled(mirror: string, timeouts: ClientOptions['timeouts'] = { hedge: 100 }) {
  const registry = await testRegistry({ images: { 'app:1': { layers } } });
  onTestFinished(registry.close);
  const events: ClientEvent[] = [];
  const client = createClient({
    config: { registries: { [registry.host]: { mirrors: [{ url: mirror }] } } },
    timeouts,
    onEvent: (event) => void events.push(event),
  });
  onTestFinished(() => client.close());
  const to = memoryStore();
  await client.pull(`${registry.host}/app:1`, { to });
  for (const layer of registry.images['app:1'].layers) await to.resolve(layer.descriptor.digest);
  return { registry, events, hedges: events.filter(({ type }) => type === 'hedge') };
}

test('40 layers come although the first mirror is silent, which is requested once, and its connection is closed', async () => {
  const mirror = await testRegistry({ faults: [{ stall: 'head' }] });
  onTestFinished(mirror.close);
  const { hedges, registry } = await pulled(mirror.url);
  // Another time only if the pull takes longer than 5 s.
  expect(mirror.requests.length).toBeLessThanOrEqual(2);
  expect(hedges[0]).toMatchObject({ from: `${mirror.url}/v2`, to: `${registry.url}/v2` });
  await vi.waitFor(() => expect(mirror.connections()).toBe(0));
});

test('40 layers come although the mirror is silent about blobs, each of which is requested there at most once', async () => {
  const mirror = await testRegistry({ images: { 'app:1': { layers } }, faults: [{ kind: 'blob', stall: 'head' }] });
  onTestFinished(mirror.close);
  const { hedges } = await pulled(mirror.url);
  const blobs = mirror.requests.filter(({ kind }) => kind === 'blob').map(({ reference }) => reference);
  expect(blobs.length).toBeGreaterThan(0);
  expect(new Set(blobs).size).toBe(blobs.length);
  expect(hedges.length).toBeLessThanOrEqual(2);
});

test('a mirror that refuses connections is left at once, and none is requested in addition', async () => {
  const mirror = `http://127.0.0.1:${await deadPort()}`;
  const { hedges, events } = await pulled(mirror, {});
  expect(events.filter((event) => event.type === 'request' && event.url.startsWith(mirror))).toHaveLength(1);
  expect(hedges).toEqual([]);
});

test('a mirror that does not have the repository is requested once for an image, and again when it has had time', async () => {
  const mirror = await testRegistry();
  onTestFinished(mirror.close);
  await pulled(mirror.url, {});
  expect(mirror.requests.length).toBe(1);
});

test('a mirror that has given something is requested for everything, whatever it lacks', async () => {
  const image = { 'app:1': { layers: layers.slice(0, 3) } };
  const registry = await testRegistry({ images: image });
  const reference = registry.images['app:1'].layers[0]?.descriptor.digest ?? '';
  const mirror = await testRegistry({ images: image, faults: [{ reference, status: 404 }] });
  onTestFinished(mirror.close);
  onTestFinished(registry.close);
  const registries = { [registry.host]: { mirrors: [{ url: mirror.url }] } };
  const client = createClient({ config: { registries }, timeouts: { hedge: 0 } });
  onTestFinished(() => client.close());
  const fetcher = client.fetcher(`${registry.host}/app`);
  await (await fetcher.fetch((await fetcher.resolve('1')).descriptor)).bytes();
  const from: (string | undefined)[] = [];
  for (const { descriptor: layer } of registry.images['app:1'].layers) {
    const content = await fetcher.fetch(layer);
    await content.bytes();
    from.push(content.source?.replace('/v2', ''));
  }
  expect(from).toEqual([registry.url, mirror.url, mirror.url]);
});
