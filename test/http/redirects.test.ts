import { expect, test } from 'vitest';
import type { ClientEvent } from '../../src/events.ts';
import { redirects } from '../../src/http/redirects.ts';
import { type HttpRequest, wrap } from '../../src/http/transport.ts';
import { trust } from '../../src/remote/trust.ts';
import { endpointOf, failsWith, failureOf, type Given, recording, textOf } from '../support/http.ts';

const home = 'https://registry.test';
const endpoint = endpointOf(`${home}/v2`, { headers: { 'X-Key': 'secret' } });
const publicAddress = '93.184.216.34';

/** Answers by URL; a redirect is written `307 https://there.test/`. */
function places(routes: Record<string, string | Given>) {
  return recording(
    ({ url }) => {
      const given = routes[url] ?? 'text';
      if (typeof given !== 'string') return { address: publicAddress, ...given };
      const [, status, location] = /^(\d{3}) (\S+)$/.exec(given) ?? [];
      if (status === undefined || location === undefined) return { body: given, address: publicAddress };
      return { status: Number(status), headers: { location }, body: 'moved', address: publicAddress };
    },
    ({ method, url, body }) => [method, url, body].filter((part) => part !== undefined).join(' '),
  );
}

const requestTo = (path: string, more: Partial<HttpRequest> = {}): HttpRequest => ({
  method: 'GET',
  url: `${home}${path}`,
  endpoint,
  ...more,
});

const methods: readonly [number, string, string][] = [
  [301, 'GET', 'GET'],
  [301, 'HEAD', 'HEAD'],
  [301, 'POST', 'GET'],
  [302, 'GET', 'GET'],
  [302, 'HEAD', 'HEAD'],
  [302, 'POST', 'GET'],
  [302, 'PUT', 'PUT'],
  [303, 'GET', 'GET'],
  [303, 'HEAD', 'HEAD'],
  [303, 'POST', 'GET'],
  [303, 'PUT', 'GET'],
  [307, 'GET', 'GET'],
  [307, 'HEAD', 'HEAD'],
  [307, 'POST', 'POST'],
  [308, 'HEAD', 'HEAD'],
  [308, 'POST', 'POST'],
];

test.each(methods)('%i to a %s is followed by a %s', async (status, method, next) => {
  const { transport, log, open } = places({ [`${home}/a`]: `${status} /b` });
  const body = method === 'POST' || method === 'PUT' ? 'form' : undefined;
  const response = await redirects()(transport)(requestTo('/a', { method, body }));
  expect(response.url).toBe(`${home}/b`);
  await textOf(response);
  const kept = body === undefined || next === 'GET' ? '' : ' form';
  expect(log).toEqual([`${method} ${home}/a${body === undefined ? '' : ' form'}`, `${next} ${home}/b${kept}`]);
  expect(open()).toBe(0);
});

test.each([200, 206, 300, 304, 305, 306, 401, 404])('%i is returned, also with a Location', async (status) => {
  const { transport, log } = places({ [`${home}/a`]: `${status} /b` });
  const response = await redirects()(transport)(requestTo('/a'));
  expect([response.status, await textOf(response), log.length]).toEqual([status, 'moved', 1]);
});

test('a redirect without Location is returned', async () => {
  const { transport } = places({ [`${home}/a`]: { status: 307, body: 'nowhere' } });
  const response = await redirects()(transport)(requestTo('/a'));
  expect([response.status, await textOf(response)]).toEqual([307, 'nowhere']);
});

const locations: readonly [string, string][] = [
  ['/b', `${home}/b`],
  ['b', `${home}/v2/x/b`],
  ['?page=2', `${home}/v2/x/a?page=2`],
  ['../b', `${home}/v2/b`],
  ['//cdn.test/b', 'https://cdn.test/b'],
  ['HTTPS://CDN.test:443/b', 'https://cdn.test/b'],
  ['https://cdn.test/b?X-Signature=a%2Fb&c=d+e', 'https://cdn.test/b?X-Signature=a%2Fb&c=d+e'],
  ['https://user:secret@cdn.test/b', 'https://cdn.test/b'],
];

test.each(locations)('a Location of "%s" leads to %s', async (location, target) => {
  const { transport, log } = places({ [`${home}/v2/x/a?q=1`]: `307 ${location}` });
  await redirects()(transport)(requestTo('/v2/x/a?q=1'));
  expect(log[1]).toBe(`GET ${target}`);
});

test('as many redirects as the limit are followed; one more is TOO_MANY_REDIRECTS', async () => {
  const routes = Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [`${home}/${index}`, `302 /${index + 1}`]),
  );
  const near = places(routes);
  const response = await redirects()(near.transport)(requestTo('/10'));
  expect(response.url).toBe(`${home}/20`);
  const far = places(routes);
  const error = await failureOf(redirects()(far.transport)(requestTo('/9')));
  expect(error).toEqual(failsWith('TOO_MANY_REDIRECTS', { message: expect.stringContaining(`"${home}/9"`) }));
  expect(far.log.length).toBe(11);
  expect(far.open()).toBe(0);
  const none = places(routes);
  expect(await failureOf(redirects({ limit: 0 })(none.transport)(requestTo('/9')))).toEqual(
    failsWith('TOO_MANY_REDIRECTS'),
  );
});

test('a URL that redirects to itself is given up after the limit', async () => {
  const { transport, log } = places({ [`${home}/a`]: '307 /a' });
  expect(await failureOf(redirects({ limit: 3 })(transport)(requestTo('/a')))).toEqual(failsWith('TOO_MANY_REDIRECTS'));
  expect(log.length).toBe(4);
});

test.each([
  'http://registry.test/b',
  'http://cdn.test/b',
  'ftp://cdn.test/b',
  'file:///etc/passwd',
  'data:text/plain,a',
  'https://',
  'https://[::1',
])('a redirect from https to "%s" is UNSAFE_URL, and nothing is sent', async (location) => {
  const { transport, log, open } = places({ [`${home}/a`]: `302 ${location}` });
  const error = await failureOf(redirects()(transport)(requestTo('/a')));
  expect(error).toEqual(failsWith('UNSAFE_URL', { message: expect.stringContaining(`${home}/a`) }));
  expect(log).toEqual([`GET ${home}/a`]);
  expect(open()).toBe(0);
});

test('from http to https and back to http is refused at the way back', async () => {
  const { transport, log } = places({
    'http://registry.test/a': '302 https://cdn.test/b',
    'https://cdn.test/b': '302 http://registry.test/c',
  });
  const error = await failureOf(redirects()(transport)({ method: 'GET', url: 'http://registry.test/a' }));
  expect(error).toEqual(failsWith('UNSAFE_URL'));
  expect(log).toEqual(['GET http://registry.test/a', 'GET https://cdn.test/b']);
});

test('the same origin sees all that the endpoint is sent, another one nothing of the endpoint', async () => {
  const { transport, requests } = places({
    [`${home}/a`]: '307 /b',
    [`${home}/b`]: '307 https://cdn.test/c?X-Signature=1',
    'https://cdn.test/c?X-Signature=1': `307 ${home}/d`,
  });
  const headers = {
    authorization: 'Basic c2VjcmV0',
    cookie: 'a=b',
    accept: '*/*',
    range: 'bytes=5-9',
    'user-agent': 'x',
  };
  const tls = { insecureSkipVerify: true };
  await redirects()(transport)(requestTo('/a', { headers, tls, more: true }));
  const [first, second, third, fourth] = requests;
  expect(second).toEqual({ ...first, url: `${home}/b` });
  expect([second?.endpoint, second?.tls, second?.headers]).toEqual([endpoint, tls, headers]);
  const plain = { accept: '*/*', range: 'bytes=5-9', 'user-agent': 'x' };
  for (const [request, url] of [
    [third, 'https://cdn.test/c?X-Signature=1'],
    [fourth, `${home}/d`],
  ] as const) {
    expect(request).toEqual({ method: 'GET', url, headers: plain, more: true, addresses: 'public' });
  }
});

test.each(['https://registry.test:444/b', 'https://sub.registry.test/b', 'https://registry.test.evil.test/b'])(
  '%s is another origin',
  async (location) => {
    const { transport, requests } = places({ [`${home}/a`]: `307 ${location}` });
    await redirects()(transport)(requestTo('/a', { headers: { authorization: 'Basic c2VjcmV0' } }));
    expect(requests[1]?.endpoint).toBeUndefined();
    expect(requests[1]?.headers).toEqual({});
  },
);

test('a request body is not sent to another origin', async () => {
  const { transport, log } = places({ [`${home}/a`]: '307 https://evil.test/b' });
  const error = await failureOf(
    redirects()(transport)(requestTo('/a', { method: 'POST', body: 'refresh_token=secret' })),
  );
  expect(error).toEqual(failsWith('UNSAFE_URL', { message: expect.not.stringContaining('secret') }));
  expect(log.length).toBe(1);
});

/** The address of each host of a chain, and what the last one may refer to. */
const chains: readonly [string, string[], string, string[]][] = [
  ['a public registry', [publicAddress], 'public', []],
  ['a registry at a private address', ['10.0.0.5'], 'private', []],
  ['a registry on this machine', ['127.0.0.1'], 'private', []],
  ['a registry at fc00::/7', ['fd12::1'], 'private', []],
  ['a private registry, by way of a public place', ['10.0.0.5', publicAddress], 'public', []],
  ['a private registry, by way of a private place', ['10.0.0.5', '192.168.1.1'], 'private', []],
  ['a public registry, by way of a listed private place', [publicAddress, '10.0.0.5'], 'public', ['hop1.test']],
  ['a public registry, to a listed place', [publicAddress], 'any', ['hop1.test']],
  ['a public registry, to a place listed with its port', [publicAddress], 'any', ['hop1.test:8443']],
  ['a public registry, to a place listed with another port', [publicAddress], 'public', ['hop1.test:1']],
  ['a public registry, to a place below a listed domain', [publicAddress], 'any', ['.test']],
  ['a registry whose address is made up', ['198.18.0.7'], 'public', []],
];

test.each(chains)('from %s the next may be: %s', async (_from, addresses, policy, allowPrivate) => {
  const port = allowPrivate.some((entry) => entry.includes(':')) ? ':8443' : '';
  const routes: Record<string, Given> = {};
  for (const [index, address] of addresses.entries()) {
    const url = index === 0 ? `${home}/a` : `https://hop${index}.test${port}/`;
    routes[url] = { status: 307, headers: { location: `https://hop${index + 1}.test${port}/` }, address };
  }
  const { transport, requests } = places(routes);
  await wrap(transport, redirects(), trust({ allowPrivate }))(requestTo('/a'));
  expect(requests.at(-1)?.addresses).toBe(policy);
});

test('another origin may refer to public hosts only, though it is listed and private itself', async () => {
  const url = 'https://external.test/layer';
  const { transport, requests } = places({
    [url]: { status: 307, headers: { location: 'https://other.test/' }, address: '10.0.0.5' },
  });
  const send = wrap(transport, redirects(), trust({ allowPrivate: ['external.test'] }));
  await send({ method: 'GET', url, addresses: 'any' });
  expect(requests.at(-1)?.addresses).toBe('public');
});

test('a host whose address is not known counts as public if it is a name, and as what it is if it is an address', async () => {
  for (const [host, policy] of [
    ['registry.corp', 'public'],
    ['10.0.0.5', 'private'],
    ['localhost', 'private'],
    ['[::1]', 'private'],
    ['93.184.216.34', 'public'],
  ]) {
    const url = `https://${host}/a`;
    const { transport, requests } = recording((request) =>
      request.url === url ? { status: 307, headers: { location: 'https://other.test/' } } : {},
    );
    await redirects()(transport)({ method: 'GET', url, endpoint: endpointOf(`https://${host}/v2`) });
    expect([host, requests[1]?.addresses]).toEqual([host, policy]);
  }
});

test('an http entry that leads to https of the same name is reported once, as no login goes there', async () => {
  const { transport } = places({
    'http://registry.test/a': '301 https://registry.test/a',
    'https://registry.test/a': { status: 401 },
    'http://registry.test/b': '301 https://cdn.test/b',
    'https://cdn.test/b': { status: 403 },
  });
  const warnings: ClientEvent[] = [];
  const send = redirects({ emit: (event) => warnings.push(event) })(transport);
  const own = endpointOf('http://registry.test/v2');
  const get = (path: string) => send({ method: 'GET', url: `http://registry.test${path}`, endpoint: own });
  expect(await get('/a')).toMatchObject({ status: 401, login: 'login-withheld' });
  await get('/a');
  expect((await get('/b')).login).toBeUndefined();
  const text = 'it redirects from http to https, where no login is sent: write https:// in its URL';
  expect(warnings).toEqual([{ type: 'warning', host: 'registry.test', text }]);
});

test.each<[string, Given]>([
  ['403', { status: 403 }],
  ['400', { status: 400 }],
  ['404', { status: 404 }],
  ['a page', { headers: { 'content-type': 'text/html; charset=utf-8' }, body: '<html>' }],
])('when storage answers %s, the registry is requested once more for another URL', async (_what, refusal) => {
  const log: string[] = [];
  const given = (count: number) => {
    const recorded = recording(({ url }) => {
      log.push(url);
      if (url.startsWith(home)) return { status: 307, headers: { location: `https://s3.test/${log.length}` } };
      return log.length <= count ? refusal : { body: 'content' };
    });
    return { send: redirects()(recorded.transport), ...recorded };
  };
  const once = given(2);
  expect(await textOf(await once.send(requestTo('/a')))).toBe('content');
  expect(log).toEqual([`${home}/a`, 'https://s3.test/1', `${home}/a`, 'https://s3.test/3']);
  log.length = 0;
  const always = given(99);
  expect((await always.send(requestTo('/a'))).status).toBe(refusal.status ?? 200);
  expect(log).toHaveLength(4);
  expect(always.open()).toBe(1);
});

test('what the registry itself refuses is not requested again, and 203 is 200', async () => {
  const { transport, log } = places({
    [`${home}/a`]: { status: 404 },
    [`${home}/b`]: { status: 203, body: 'changed' },
  });
  expect((await redirects()(transport)(requestTo('/a'))).status).toBe(404);
  expect((await redirects()(transport)(requestTo('/b'))).status).toBe(200);
  expect(log).toHaveLength(2);
});
