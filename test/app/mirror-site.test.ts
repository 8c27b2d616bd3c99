import { type Client, createClient, fetchTransport } from 'ocifetch';
import { memoryStore, type ServerEvent, serve } from 'ocifetch/server';
import { expect, test } from 'vitest';
import { mirrorAgent, mirrorSite } from '../../src/app/mirror-site.ts';
import { samples } from '../contract/source.ts';
import { fill } from '../contract/store.ts';
import { atEnd } from '../support/http.ts';

const { config: small, manifest } = samples;

/** A client whose registries are one store, counted, and a mirror of three of them. */
async function mirror() {
  const store = memoryStore();
  await fill(store, Object.values(samples));
  const requests: string[] = [];
  const registry = serve(() => store);
  const state = { isDown: false };
  const userAgent = mirrorAgent();
  const client: Client = createClient({
    userAgent,
    retries: { tries: 1 },
    transport: fetchTransport(async (request) => {
      const { host, pathname } = new URL(request.url);
      requests.push(`${request.method} ${host}${pathname}`);
      return state.isDown ? new Response('down', { status: 503 }) : registry(request);
    }),
  });
  atEnd(() => client.close());
  const mirrors = ['docker.io', 'ghcr.io', 'registry.test:5000'];
  const site = mirrorSite({ mirrors, client, userAgent });
  atEnd(async () => site.close?.());
  const events: ServerEvent[] = [];
  const handler = site.handler({ onEvent: (event) => void events.push(event) });
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const response = await handler(new Request(`http://localhost:5000/v2/${path}`, { headers }));
    return { status: response.status, bytes: new Uint8Array(await response.arrayBuffer()) };
  };
  return { site, get, requests, state, userAgent, events };
}

const blob = `blobs/${small.descriptor.digest}`;

test('content comes from upstream once, and the page says how much was saved', async () => {
  const { site, get, requests } = await mirror();
  expect((await get(`library/app/${blob}`)).bytes).toEqual(new Uint8Array(small.bytes));
  const first = requests.length;
  expect((await get(`library/app/${blob}`)).status).toBe(200);
  expect(requests.length).toBe(first);
  const { cards, upstreams, json } = site.facts?.() ?? {};
  expect(cards).toMatchObject([
    { label: 'Hit rate', value: '50 %', note: '1 of 2 contents' },
    { label: 'Saved', value: `${small.bytes.length} B` },
    { label: 'Kept', note: '1 content' },
  ]);
  expect(json).toMatchObject({ hits: 1, misses: 1, hitRate: 0.5, saved: small.bytes.length });
  expect(upstreams).toMatchObject([
    { name: 'docker.io', problem: undefined, last: expect.any(Number) },
    { name: 'ghcr.io', figures: [] },
    { name: 'registry.test:5000', figures: [] },
  ]);
});

test('a registry is named by ns, or in the path, and repositories are shown with it', async () => {
  const { site, get, requests } = await mirror();
  const { digest } = manifest.descriptor;
  expect((await get(`team/app/manifests/${digest}?ns=ghcr.io`)).status).toBe(200);
  expect((await get(`upstream/registry.test-5000/other/manifests/${digest}`)).status).toBe(200);
  expect((await get(`upstream/nobody/other/manifests/${digest}`)).status).toBe(404);
  expect((await get(`team/app/manifests/${digest}?ns=unknown.example`)).status).toBe(404);
  expect(requests.every((line) => /^GET (?:ghcr\.io|registry\.test:5000)\/v2\//.test(line))).toBe(true);
  const label = (registry: string, name: string) => site.labelOf?.({ registry, name });
  expect(label('ghcr.io', 'team/app')).toBe('ghcr.io/team/app');
  expect(label('localhost', 'library/alpine')).toBe('docker.io/library/alpine');
  expect(label('localhost', 'upstream/registry.test-5000/a/b')).toBe('registry.test:5000/a/b');
});

test('an upstream that fails is shown with its error until it responds again', async () => {
  const { site, get, state } = await mirror();
  state.isDown = true;
  expect((await get(`library/app/${blob}`)).status).toBeGreaterThanOrEqual(500);
  expect(site.facts?.().upstreams?.[0]?.problem).toMatch(/503/);
  state.isDown = false;
  await new Promise((later) => setTimeout(later, 5));
  await get(`library/app/${blob}?ns=docker.io`);
});

test('a request of the mirror itself is refused without a request upstream, so that it cannot go in circles', async () => {
  const { get, requests, userAgent, events } = await mirror();
  expect((await get(`library/app/${blob}`, { 'user-agent': userAgent })).status).toBe(404);
  expect(requests).toEqual([]);
  expect(events).toMatchObject([
    { status: 404, error: { message: 'this mirror is configured as a mirror of itself' } },
  ]);
  expect(mirrorAgent()).not.toBe(mirrorAgent());
});
