import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { statusPage } from '../../src/app/page.ts';
import { pageRoute } from '../../src/app/page-route.ts';
import type { SiteStatus } from '../../src/app/site.ts';
import { createStatistics } from '../../src/app/statistics.ts';

const hostile = `<img src=x onerror=alert(1)>"'&`;

function status(facts: Partial<SiteStatus> = {}): SiteStatus {
  return { kind: 'registry', about: 'in memory', time: Date.now(), traffic: createStatistics().traffic(), ...facts };
}

test('whatever comes from outside is escaped in the page', () => {
  const traffic = {
    ...createStatistics().traffic(),
    active: 1,
    oldest: [{ method: hostile, path: hostile, userAgent: hostile, address: hostile, since: 0 }],
    repositories: [{ name: hostile, requests: 1, bytes: 1, last: 0 }],
    errors: [{ method: hostile, path: hostile, status: 500, found: hostile, userAgent: hostile, count: 2, last: 0 }],
  };
  const facts = {
    cards: [{ label: hostile, value: hostile, note: hostile }],
    upstreams: [{ name: hostile, figures: [hostile], last: 0, problem: hostile }],
    downloads: [{ name: hostile, bytes: 1, size: 2, since: 0 }],
    json: {},
  };
  const names = [`${hostile}2`];
  const page = statusPage(status({ about: hostile, traffic, facts, repositories: { total: 2, names } }));
  expect(page).not.toContain('<img');
  expect(page.match(/&lt;img src=x onerror=alert\(1\)&gt;&quot;&#39;&amp;/g)?.length).toBeGreaterThan(10);
});

test('the page shows what the server has, and says where nothing is', () => {
  const empty = statusPage(status());
  expect(empty).toContain('Nothing at the moment.');
  expect(empty).toContain('None yet.');
  const names = Array.from({ length: 300 }, (_, index) => `team/r${index}`);
  const page = statusPage(status({ repositories: { total: 5_000, names } }));
  expect(page).toContain('100 of 5,000');
  expect(page.match(/not requested yet/g)).toHaveLength(100);
});

test('a site shows cards, upstreams and downloads of its own', () => {
  const upstreams = [
    { name: 'docker.io', figures: ['2 hits', '1 misses'], last: Date.now() },
    { name: 'ghcr.io', figures: [], last: Date.now(), problem: 'the connection was refused' },
    { name: 'quay.io', figures: [] },
  ];
  const downloads = [
    { name: `docker.io/a@sha256:${'ab'.repeat(32)}`, bytes: 500, size: 2_000, since: Date.now() },
    { name: 'docker.io/b', bytes: 700, size: -1, since: Date.now() },
  ];
  const cards = [{ label: 'Hit rate', value: '66 %', note: '2 of 3' }];
  const page = statusPage(status({ kind: 'mirror', facts: { cards, upstreams, downloads, json: {} } }));
  const texts = [
    '66 %',
    'responded 0 s ago',
    'the connection was refused',
    'not contacted yet',
    '25 % of 2.0 kB',
    '700 B',
  ];
  for (const text of [...texts, 'docker.io/a@sha256:abababababab…']) expect(page).toContain(text);
  expect(page).not.toContain('stored here');
});

const route = pageRoute({ status: async () => status() });
const get = (path: string, init?: RequestInit) => route.respond(new Request(`http://localhost${path}`, init));

test('nothing but the style and the script of the page itself may be used', async () => {
  const response = await get('/');
  const text = await response.text();
  const policy = response.headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toContain('unsafe');
  for (const name of ['style', 'script']) {
    const [, content = ''] = new RegExp(`<${name}>([\\s\\S]*?)</${name}>`).exec(text) ?? [];
    const hash = createHash('sha256').update(content).digest('base64');
    expect(policy).toContain(`${name}-src 'sha256-${hash}'`);
  }
  expect(text).not.toMatch(/\son\w+=| style=|https?:\/\/(?!www\.w3\.org\/2000\/svg)/);
  expect(response.headers.get('cache-control')).toBe('no-store');
});

test('/status is JSON for programs and the page for browsers, and both can only be read', async () => {
  const json = await get('/status');
  expect(json.headers.get('content-type')).toBe('application/json');
  expect(await json.json()).toMatchObject({ kind: 'registry', requests: 0, active: { total: 0 }, errors: [] });
  const page = await get('/status', { headers: { accept: 'text/html' } });
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
  const head = await get('/', { method: 'HEAD' });
  expect([head.status, await head.text()]).toEqual([200, '']);
  expect(Number(head.headers.get('content-length'))).toBeGreaterThan(1_000);
  const posted = await get('/', { method: 'POST' });
  expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
});

test('it takes / and /status only, and not / if that is somebody else’s', () => {
  const has = (path: string, hasHome = false) =>
    pageRoute({ status: async () => status(), hasHome }).has(new Request(`http://localhost${path}`));
  expect(['/', '/?x', '/status', '/v2/', '/v2', '/status/', '//'].map((path) => has(path))).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
  expect([has('/', true), has('/status', true)]).toEqual([false, true]);
});
