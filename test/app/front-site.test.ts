import type { ServerEvent } from 'ocifetch/server';
import { expect, test } from 'vitest';
import { frontSite, siteOf } from '../../src/app/front-site.ts';
import { folder } from '../cli/support.ts';

const digest = `sha256:${'0'.repeat(64)}`;

test('a front from its file redirects, reports each response, and counts where it led', async () => {
  const { path } = await folder({
    'front.yaml': 'upstream: https://registry.example\nprefix: team\ninfo: https://about.example/x\n',
  });
  const site = await frontSite(path('front.yaml'));
  expect([site.kind, site.about, site.hasHome]).toEqual(['front', 'redirects to https://registry.example', true]);
  const events: ServerEvent[] = [];
  const handler = site.handler({ onEvent: (event) => void events.push(event) });
  const get = async (url: string) => (await handler(new Request(`http://localhost${url}`))).headers.get('location');
  expect(await get('/v2/app/manifests/v1')).toBe('https://registry.example/v2/team/app/manifests/v1');
  expect(await get('/')).toBe('https://about.example/x');
  expect(await get('/nowhere')).toBeNull();
  await expect.poll(() => events.length).toBe(3);
  expect(events.map(({ status, action }) => [status, action])).toEqual([
    [307, 'pull'],
    [307, 'pull'],
    [404, 'none'],
  ]);
  expect(events.every(({ duration }) => duration >= 0 && duration < 60_000)).toBe(true);
  expect(site.facts?.()).toMatchObject({
    cards: [
      { label: 'To buckets', value: '0', note: '0 % of redirects' },
      { label: 'To the registry', value: '1', note: '100 % of redirects' },
    ],
    json: { redirects: { upstream: 1, bucket: 0, info: 1 } },
  });
});

test('without an info page, / is the page of the program', () => {
  const site = siteOf({ upstream: 'https://registry.example', buckets: [{ url: 'https://bucket.example' }] });
  expect([site.about, site.hasHome]).toEqual(['redirects to https://registry.example and 1 bucket', false]);
  expect(site.facts?.().cards[0]).toMatchObject({ value: '0', note: 'nothing yet' });
});

test('a front sends no content of its own, whatever is requested', async () => {
  const handler = siteOf({ upstream: 'https://registry.example' }).handler({});
  const { status } = await handler(new Request(`http://localhost/v2/app/blobs/${digest}`), {
    remoteAddress: '127.0.0.1',
  });
  expect(status).toBe(307);
});
