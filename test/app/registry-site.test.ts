import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesBody, layoutStore } from 'ocifetch';
import { expect, test } from 'vitest';
import { registrySite } from '../../src/app/registry-site.ts';
import { samples } from '../contract/source.ts';
import { atEnd } from '../support/http.ts';

const { config: small } = samples;

async function directory(name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-app-'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, name);
  await mkdir(path);
  return path;
}

const sent = (site: ReturnType<typeof registrySite>['site']) => {
  const handler = site.handler({});
  return (path: string, init?: RequestInit) => handler(new Request(`http://localhost:5000/v2/${path}`, init));
};
const push = { method: 'POST', body: small.bytes as Uint8Array<ArrayBuffer> };
const pushed = (name: string): string => `${name}/blobs/uploads/?digest=${small.descriptor.digest}`;

test('without a directory it is a registry in memory', async () => {
  const { site, only } = registrySite({});
  expect([site.about, only]).toEqual(['in memory, gone when it ends', undefined]);
  const send = sent(site);
  expect((await send(pushed('team/app'), push)).status).toBe(201);
  expect(await site.repositories?.()).toEqual(['team/app']);
});

test('a directory has a layout for each repository, which the next registry has as well', async () => {
  const path = await directory('registry');
  expect((await sent(registrySite({ directory: path }).site)(pushed('team/app'), push)).status).toBe(201);
  const { site } = registrySite({ directory: path, isReadOnly: true });
  expect(site.about).toBe(`${path} · read-only`);
  expect(await site.repositories?.()).toEqual(['team/app']);
  const send = sent(site);
  expect((await send(`team/app/blobs/${small.descriptor.digest}`)).status).toBe(200);
  expect((await send(pushed('team/app'), push)).status).toBe(405);
});

test.each([
  ['alpine', 'alpine'],
  ['My App (1)', 'my-app-1'],
  ['alpine_3.20', 'alpine_3.20'],
  ['a..b', 'a-b'],
  ['日本', 'layout'],
  ['x'.repeat(250), 'x'.repeat(250)],
])('a directory "%s" that is one layout is the only repository, "%s"', async (folder, name) => {
  const path = await directory(folder);
  await layoutStore(path).push(small.descriptor, bytesBody(small.bytes));
  await layoutStore(path).tag(small.descriptor, 'v1');
  const { site, only } = registrySite({ directory: path });
  expect(only).toBe(name);
  expect(await site.repositories?.()).toEqual([name]);
  const send = sent(site);
  expect(await (await send(`${name}/tags/list`)).json()).toEqual({ name, tags: ['v1'] });
  expect(await (await send('_catalog')).json()).toEqual({ repositories: [name] });
  expect((await send('another/tags/list')).status).toBe(404);
  expect((await send(pushed('another'), push)).status).toBe(403);
});

test('a repository of the name of a file of layouts does not make the directory one', async () => {
  const path = await directory('registry');
  await mkdir(join(path, 'index.json'));
  expect(registrySite({ directory: path }).only).toBeUndefined();
});
