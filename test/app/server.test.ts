import { bytesBody } from 'ocifetch';
import { memoryRegistry, serve } from 'ocifetch/server';
import { expect, test } from 'vitest';
import type { ServedEvent } from '../../src/app/log.ts';
import { type SiteOptions, servedSite, startServer } from '../../src/app/server.ts';
import type { Site } from '../../src/app/site.ts';
import { samples } from '../contract/source.ts';
import { atEnd } from '../support/http.ts';

const { config: small, manifest } = samples;

async function site(options: SiteOptions = {}, facts: Partial<Site> = {}) {
  const registry = memoryRegistry();
  const store = registry({ registry: 'localhost', name: 'team/app' });
  await store.push(small.descriptor, bytesBody(small.bytes));
  const events: ServedEvent[] = [];
  const repositories = () => registry.repositories();
  const served = servedSite(
    { kind: 'registry', about: 'in memory', handler: (given) => serve(registry, given), repositories, ...facts },
    { onEvent: (event) => events.push(event), ...options },
  );
  const get = (path: string, init?: RequestInit) =>
    served.handler(new Request(`http://localhost:5000${path}`, init), { remoteAddress: '10.0.0.1' });
  return { ...served, get, events };
}

const blob = `/v2/team/app/blobs/${small.descriptor.digest}`;
const status = async ({ get }: Pick<Awaited<ReturnType<typeof site>>, 'get'>, init?: RequestInit) =>
  (await get('/status', init)).json();

test('requests of the registry are counted and reported with their address, those of the page are not', async () => {
  const served = await site();
  await (await served.get(blob)).arrayBuffer();
  await served.get('/');
  await served.get('/', { method: 'POST' });
  expect(await status(served)).toMatchObject({
    requests: 1,
    active: { total: 0, oldest: [] },
    bytes: { sent: small.bytes.length },
    repositories: { total: 1, names: ['team/app'], used: [{ name: 'team/app', requests: 1 }] },
  });
  expect(served.events).toMatchObject([{ status: 200, action: 'pull', address: '10.0.0.1' }]);
});

test('a response is active until its body has been read', async () => {
  const served = await site();
  const response = await served.get(blob);
  expect(served.statistics.active).toBe(1);
  await response.arrayBuffer();
  expect(served.statistics.active).toBe(0);
});

test('with users, everything requires a login, also the page; refusals are reported', async () => {
  const served = await site({ users: { joe: 'secret' } });
  const login = { headers: { authorization: `Basic ${btoa('joe:secret')}` } };
  expect(await Promise.all(['/', '/status', blob].map(async (path) => (await served.get(path)).status))).toEqual([
    401, 401, 401,
  ]);
  expect((await served.get('/', login)).status).toBe(200);
  expect((await served.get(blob, login)).status).toBe(200);
  expect(await status(served, login)).toMatchObject({ requests: 3, failed: 0 });
  expect(served.events.map(({ status: code, actor }) => [code, actor])).toEqual([
    [401, undefined],
    [401, undefined],
    [401, undefined],
  ]);
});

test('without a page, and where / is the site’s own, the site gets those requests', async () => {
  const none = await site({ hasPage: false });
  expect((await none.get('/')).headers.get('content-type')).toBe('application/json');
  expect((await none.get('/status')).status).toBe(404);
  const own = await site({}, { hasHome: true });
  expect((await own.get('/')).status).toBe(404);
  expect((await own.get('/status')).status).toBe(200);
});

test('repositories are listed when somebody looks, once in a while, and a failure leaves them out', async () => {
  let lists = 0;
  const served = await site(
    {},
    {
      repositories: async () => {
        lists += 1;
        throw new Error('no disk');
      },
    },
  );
  expect(lists).toBe(0);
  const both = await Promise.all([status(served), status(served)]);
  expect(both).toMatchObject([{ repositories: { total: 0 } }, { repositories: { total: 0 } }]);
  expect(lists).toBe(1);
});

test('on a socket, it stops when what is under way has ended, or when that takes too long', async () => {
  for (const isSlow of [false, true]) {
    let go = (): void => undefined;
    let begun = (): void => undefined;
    const started = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const handler = async () => {
      begun();
      await new Promise<void>((resolve) => {
        go = resolve;
      });
      return new Response('done');
    };
    const server = await startServer({ kind: 'registry', about: '', handler: () => handler }, { listen: { port: 0 } });
    atEnd(async () => void (await server.stop(0)));
    const response = fetch(`${server.url}/v2/`).then(
      (found) => found.text(),
      () => 'cut off',
    );
    await started;
    expect(server.active()).toBe(1);
    const stopped = server.stop(isSlow ? 30 : 15_000);
    if (!isSlow) go();
    expect(await stopped).toBe(!isSlow);
    expect(await response).toBe(isSlow ? 'cut off' : 'done');
  }
});

test('an unknown manifest is an error of the page', async () => {
  const served = await site();
  await served.get(`/v2/team/app/manifests/${manifest.descriptor.digest}`);
  expect(await status(served)).toMatchObject({ failed: 1, errors: [{ status: 404, method: 'GET', count: 1 }] });
});
