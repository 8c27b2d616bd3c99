import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { readAll } from '../../../src/body.ts';
import { listen } from '../../../src/server/listen.ts';
import type { CloudRange } from '../../../src/server/redirect/cloud-ranges.ts';
import { redirectFront } from '../../../src/server/redirect/front.ts';
import type { FrontEvent, FrontOptions } from '../../../src/server/redirect/front-options.ts';
import type { Connection } from '../../../src/server/registry/exchange.ts';
import { atEnd, failsWith, recording } from '../../support/http.ts';

const upstream = 'https://upstream.example';
const prefix = 'project/images';
const bucket = 'https://bucket.example';
const info = 'https://info.example/about?page=1#top';
const privacy = 'https://privacy.example/policy/';
const signatures = 'https://signed.example';
const digest = `sha256:${'da'.repeat(32)}`;
const hex = 'ab'.repeat(32);
const at = (path: string): string => `${upstream}/v2/${prefix}${path}`;

const ranges: readonly CloudRange[] = [
  { prefix: '35.180.0.0/16', cloud: 'AWS', region: 'eu-west-3' },
  { prefix: '52.93.127.0/24', cloud: 'AWS', region: 'ap-east-1' },
  { prefix: '52.93.128.0/24', cloud: 'AWS', region: 'cn-north-1' },
  { prefix: '15.230.0.0/24', cloud: 'AWS', region: 'GLOBAL' },
  { prefix: '3.30.0.0/16', cloud: 'AWS', region: 'us-gov-east-1' },
  { prefix: '34.80.0.0/15', cloud: 'GCP', region: 'asia-east1' },
  { prefix: '2600:1900:4030::/44', cloud: 'GCP', region: 'asia-east1' },
  { prefix: '4.156.0.0/15', cloud: 'Azure', region: 'eastus' },
];
const buckets = [
  { url: bucket },
  { url: 'https://paris.example', cloud: 'AWS', regions: ['eu-west-3'] },
  { url: 'https://hong-kong.example/', cloud: 'AWS', regions: ['ap-east-1', 'cn-north-1'] },
];

/** A front whose checks of buckets are responded to by `status`; `has` by default every blob. */
function frontOf(options: Partial<FrontOptions> = {}, has: (url: string) => number = () => 200) {
  const { transport, log } = recording(({ url }) => ({ status: has(url) }));
  const front = redirectFront({ upstream, prefix, info, privacy, ranges, buckets, transport, ...options });
  const ask = async (line: string, headers: Record<string, string> = {}, connection?: Connection) => {
    const [method = 'GET', path = '/'] = line.split(' ');
    return front(new Request(`http://front.test${path}`, { method, headers }), connection);
  };
  const locate = async (...asked: Parameters<typeof ask>): Promise<string> => {
    const response = await ask(...asked);
    return `${response.status} ${response.headers.get('location') ?? ''}`.trim();
  };
  /** The location of a blob for the client at an address. */
  const blobFrom = (remoteAddress?: string): Promise<string> =>
    locate(`GET /v2/pause/blobs/${digest}`, {}, { remoteAddress });
  return { ask, locate, blobFrom, log, front };
}

const seen = async (response: Response): Promise<unknown[]> => [
  response.status,
  response.headers.get('content-type'),
  await response.text(),
];

const plain = 'text/plain; charset=utf-8';

test('A1: any method but GET and HEAD is 405 at any path, without Allow', async () => {
  const { ask } = frontOf();
  for (const line of [
    'POST /v2/pause/blobs/uploads/',
    'PUT /',
    'DELETE /v2/',
    'PATCH /elsewhere',
    'OPTIONS /privacy',
  ]) {
    const response = await ask(line);
    expect(response.headers.get('allow')).toBe(null);
    expect(await seen(response)).toEqual([405, plain, 'Only GET and HEAD are allowed.\n']);
  }
});

test('A2: / is redirected to the page about the registry', async () => {
  const { locate } = frontOf();
  expect(await locate('GET /')).toBe(`307 ${info}`);
  expect(await locate('HEAD /')).toBe(`307 ${info}`);
});

test('A3: whatever begins with /privacy is redirected to the page about privacy', async () => {
  const { locate } = frontOf();
  for (const path of ['/privacy', '/privacy/', '/privacy/x', '/privacyfoo', '/privacy?a=b'])
    expect(await locate(`GET ${path}`)).toBe(`307 ${privacy}`);
});

test('A4: any other path that does not begin with /v2 is 404', async () => {
  const { ask } = frontOf();
  for (const path of ['/v3/', '/v1/_ping', '/v', '//v2/', '/healthz'])
    expect(await seen(await ask(`GET ${path}`))).toEqual([404, plain, '404 page not found\n']);
  const bare = frontOf({ info: undefined, privacy: undefined });
  for (const path of ['/', '/privacy']) expect(await bare.locate(`GET ${path}`)).toBe('404');
});

test('A5: /v2 and /v2/ are 200 without a challenge, whatever login is sent', async () => {
  const { ask } = frontOf();
  for (const line of ['GET /v2', 'GET /v2/', 'HEAD /v2/', 'GET /v2/?x=1']) {
    const response = await ask(line, { authorization: 'Bearer wrong' });
    const { headers } = response;
    expect(headers.get('docker-distribution-api-version')).toBe('registry/2.0');
    expect(headers.get('www-authenticate')).toBe(null);
    expect(await seen(response)).toEqual([200, null, '']);
  }
});

test('A6: /v2/_catalog is 404, with any query; with a slash at the end it is redirected', async () => {
  const { ask, locate } = frontOf();
  for (const path of ['/v2/_catalog', '/v2/_catalog?n=5', '/v2/%5Fcatalog'])
    expect(await seen(await ask(`GET ${path}`))).toEqual([404, plain, '_catalog is not supported\n']);
  expect(await locate('GET /v2/_catalog/')).toBe(`307 ${at('/_catalog')}`);
});

test('A8: manifests, tags and referrers, and all else under /v2, are redirected to the upstream', async () => {
  const { locate, log } = frontOf();
  for (const path of [
    '/pause/manifests/latest',
    `/pause/manifests/${digest}`,
    '/pause/tags/list',
    `/a/b/referrers/${digest}`,
    '/pause/blobs/uploads',
    '/pause/blobs/latest',
    `/blobs/${digest}`,
    '/x',
  ]) {
    expect(await locate(`GET /v2${path}`)).toBe(`307 ${at(path)}`);
    expect(await locate(`HEAD /v2${path}`)).toBe(`307 ${at(path)}`);
  }
  expect(await locate('GET /v2foo/bar')).toBe(`307 ${at('/foo/bar')}`);
  const root = frontOf({ upstream: `${upstream}/base/`, prefix: undefined });
  expect(await root.locate('GET /v2/pause/manifests/1')).toBe(`307 ${upstream}/base/v2/pause/manifests/1`);
  expect(log).toEqual([]);
});

test('A9: the query is dropped in every redirect; keepQuery keeps it, though not for buckets', async () => {
  const { locate } = frontOf();
  expect(await locate('GET /v2/pause/tags/list?n=5&last=x')).toBe(`307 ${at('/pause/tags/list')}`);
  const kept = frontOf({ keepQuery: true, signatures });
  expect(await kept.locate('GET /v2/pause/tags/list?n=5&last=x%0d%0ay:z')).toBe(
    `307 ${at('/pause/tags/list?n=5&last=x%0d%0ay:z')}`,
  );
  expect(await kept.locate(`GET /v2/a/blobs/${digest}?acl`)).toBe(`307 ${bucket}/containers/images/${digest}`);
});

test('A10: the path of a redirect is cleaned, and has a small page for GET only', async () => {
  const { ask, locate } = frontOf();
  expect(await locate('GET /v2//pause//manifests/latest/')).toBe(`307 ${at('/pause/manifests/latest')}`);
  expect(await locate('GET /v2/a/../b/./manifests/1')).toBe(`307 ${at('/b/manifests/1')}`);
  const response = await ask('GET /v2/pause/manifests/a&b');
  const location = at('/pause/manifests/a%26b');
  expect(response.headers.get('docker-distribution-api-version')).toBe(null);
  expect(await seen(response)).toEqual([
    307,
    'text/html; charset=utf-8',
    `<a href="${location}">Temporary Redirect</a>.\n\n`,
  ]);
  expect(await seen(await ask('HEAD /v2/pause/manifests/1'))).toEqual([307, 'text/html; charset=utf-8', '']);
  const page = await (await ask('GET /')).text();
  expect(page).toContain(`href="${info}"`);
});

test('A12: a blob for an unknown client is redirected to the default bucket if it is there, else to the upstream', async () => {
  const there = frontOf();
  expect(await there.blobFrom('203.0.113.7')).toBe(`307 ${bucket}/containers/images/${digest}`);
  expect(await there.blobFrom(undefined)).toBe(`307 ${bucket}/containers/images/${digest}`);
  const absent = frontOf({}, () => 404);
  expect(await absent.blobFrom('203.0.113.7')).toBe(`307 ${at(`/pause/blobs/${digest}`)}`);
  expect(absent.log).toEqual([`HEAD ${bucket}/containers/images/${digest}`]);
  const none = frontOf({ buckets: [] });
  expect(await none.blobFrom('203.0.113.7')).toBe(`307 ${at(`/pause/blobs/${digest}`)}`);
  expect(none.log).toEqual([]);
});

test('A13: a client in Google’s cloud is redirected to the upstream, without a request to a bucket', async () => {
  const { blobFrom, log } = frontOf();
  for (const address of ['34.81.255.255', '::ffff:34.80.0.1', '2600:1900:4030::1'])
    expect(await blobFrom(address)).toBe(`307 ${at(`/pause/blobs/${digest}`)}`);
  expect(log).toEqual([]);
});

test('A14: a client in a region with a bucket is redirected to it; others to the default bucket', async () => {
  const { blobFrom, log } = frontOf({}, (url) => (url.startsWith('https://hong-kong') ? 403 : 200));
  const blob = `/containers/images/${digest}`;
  expect(await blobFrom('35.180.1.2')).toBe(`307 https://paris.example${blob}`);
  expect(await blobFrom('52.93.127.1')).toBe(`307 ${at(`/pause/blobs/${digest}`)}`);
  const elsewhere = ['15.230.0.1', '3.30.0.1', '4.156.0.1'];
  for (const address of elsewhere) expect(await blobFrom(address)).toBe(`307 ${bucket}${blob}`);
  expect(log).toEqual([
    `HEAD https://paris.example${blob}`,
    `HEAD https://hong-kong.example${blob}`,
    `HEAD ${bucket}${blob}`,
  ]);
});

test('A15: what was found once is not checked again, what was not found is', async () => {
  let status = 404;
  const { blobFrom, log } = frontOf({}, () => status);
  for (const given of [404, 500, 206, 204, 301, 403]) {
    status = given;
    expect(await blobFrom()).toBe(`307 ${at(`/pause/blobs/${digest}`)}`);
  }
  expect(log).toHaveLength(6);
  status = 200;
  expect(await blobFrom()).toBe(`307 ${bucket}/containers/images/${digest}`);
  status = 404;
  expect(await blobFrom()).toBe(`307 ${bucket}/containers/images/${digest}`);
  // By the URL in the bucket, not by repository.
  const { locate } = frontOf();
  expect(await locate(`HEAD /v2/other/name/blobs/${digest.replace(':', '%3A')}`)).toBe(
    `307 ${bucket}/containers/images/${digest}`,
  );
  expect(log).toHaveLength(7);
});

test('A16: a client behind a load balancer has the second address from the end of X-Forwarded-For', async () => {
  const { ask, locate, front } = frontOf();
  const paris = `307 https://paris.example/containers/images/${digest}`;
  const blob = `GET /v2/pause/blobs/${digest}`;
  for (const header of ['35.180.1.2,8.8.8.9', '127.0.0.1, 35.180.1.2, 8.8.8.9', 'junk,,35.180.1.2,8.8.8.9'])
    expect(await locate(blob, { 'x-forwarded-for': header }, { remoteAddress: '34.80.0.1' })).toBe(paris);
  for (const [header, text] of [
    ['8.8.8.8', 'invalid X-Forwarded-For value: 8.8.8.8\n'],
    [',, ,', 'invalid X-Forwarded-For value: ,, ,\n'],
    ['010.8.8.8, 8.8.8.9', 'invalid address in X-Forwarded-For: 010.8.8.8\n'],
  ] as const)
    expect(await seen(await ask(blob, { 'x-forwarded-for': header }))).toEqual([400, plain, text]);
  // Others are not looked at, nor is a header without content.
  expect(await locate('GET /v2/pause/manifests/1', { 'x-forwarded-for': 'junk' })).toBe(
    `307 ${at('/pause/manifests/1')}`,
  );
  const request = new Request(`http://front.test/v2/a/blobs/${digest}`, { headers: { 'x-forwarded-for': '' } });
  expect((await front(request, { remoteAddress: '35.180.1.2' })).headers.get('location')).toBe(paris.slice(4));
});

test('A17: cosign’s signatures and attestations are redirected to their registry, if there is one', async () => {
  const signed = frontOf({ signatures });
  for (const tag of [`sha256-${hex}.sig`, `sha256-${hex}.att`])
    expect(await signed.locate(`GET /v2/a/manifests/${tag}`)).toBe(`307 ${signatures}/v2/${prefix}/a/manifests/${tag}`);
  for (const tag of [`sha256-${hex}.sbom`, `sha256-${hex}`, `sha256-${hex}0.sig`, `sha256-${hex.toUpperCase()}.sig`])
    expect(await signed.locate(`GET /v2/a/manifests/${tag}`)).toBe(`307 ${at(`/a/manifests/${tag}`)}`);
  expect(await frontOf().locate(`GET /v2/a/manifests/sha256-${hex}.sig`)).toBe(
    `307 ${at(`/a/manifests/sha256-${hex}.sig`)}`,
  );
});

test('A19: several regions have one bucket, a cloud may have one for the rest, and its path is an option', async () => {
  const { blobFrom } = frontOf({
    buckets: [...buckets, { cloud: 'aws', url: 'https://rest.example' }],
    bucketPath: 'blobs',
    stay: [],
  });
  for (const address of ['52.93.127.1', '52.93.128.1'])
    expect(await blobFrom(address)).toBe(`307 https://hong-kong.example/blobs/${digest}`);
  expect(await blobFrom('15.230.0.1')).toBe(`307 https://rest.example/blobs/${digest}`);
  expect(await blobFrom('34.80.0.1')).toBe(`307 ${bucket}/blobs/${digest}`);
});

/** Paths that must not lead above the prefix, and what follows the prefix if they are redirected. */
const hostile: readonly (readonly [path: string, below: string | undefined])[] = [
  ['/v2/../../../secret', undefined],
  ['/v2/%2e%2e/%2E%2E/secret', undefined],
  ['/v2/..%2f..%2f..%2fsecret', '/secret'],
  ['/v2/%2e%2e%2fsecret', '/secret'],
  ['/v2/a/%2e%2e%2f%2e%2e%2f%2e%2e/secret', '/secret'],
  ['/v2/a%5c..%5c..%5c..%5csecret', '/secret'],
  ['/v2/..%5csecret', '/secret'],
  ['/v2/%252e%252e/%252e%252e/secret', '/%252e%252e/%252e%252e/secret'],
  ['/v2/..;/..;/secret', '/..%3B/..%3B/secret'],
  ['/v2..%2f..%2fsecret', '/secret'],
  ['/v2%2f..%2f..%2fsecret', '/secret'],
  ['/v2/a%2fb/manifests/1', '/a/b/manifests/1'],
  ['/v2/a/manifests/x%3Fy=z', '/a/manifests/x%3Fy%3Dz'.replace('%3D', '=')],
  ['/v2/a/manifests/x%23y', '/a/manifests/x%23y'],
  ['/v2/a/manifests/1%0d%0aset-cookie:%20a=b', '/a/manifests/1%0D%0Aset-cookie:%20a=b'],
  ['/v2/a%00b', '/a%00b'],
  ['/v2/%2f%2fevil.example', '/evil.example'],
  ['/v2/é%C3%A9', '/%C3%A9%C3%A9'],
];

test.each(hostile)('%s never leads above the prefix', async (path, below) => {
  const { locate } = frontOf();
  expect(await locate(`GET ${path}`)).toBe(below === undefined ? '404' : `307 ${at(below)}`);
});

test('a path that is not percent-encoded UTF-8 is 400', async () => {
  const { ask } = frontOf();
  for (const path of ['/v2/%zz', '/v2/%ff%fe', '/v2/a/%c0%ae%c0%ae/secret'])
    expect(await seen(await ask(`GET ${path}`))).toEqual([400, plain, 'the path is not percent-encoded UTF-8\n']);
});

test('a digest that could lead elsewhere in a bucket is not looked for there', async () => {
  const { locate, log } = frontOf();
  for (const last of ['..:x', 'sha256:', ':abc', 'sha256:a%2Fb', 'sha256:a%3Fb', 'a%20b:c', `${digest}%0a`])
    expect(await locate(`GET /v2/a/blobs/${last}`)).toMatch(
      /^307 https:\/\/upstream\.example\/v2\/project\/images\/a\/blobs\//,
    );
  expect(log).toEqual([]);
});

/** The head of the response to these bytes, sent as they are. */
async function headOf(port: number, head: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.end(`${head}\r\nhost: front.test\r\nconnection: close\r\n\r\n`);
  return Buffer.from(await readAll(socket, 65_536, 'response')).toString('latin1');
}

test('over a socket, no path leads above the prefix, and no header is added', async () => {
  const { front } = frontOf();
  const server = await listen(front);
  atEnd(server.close);
  for (const [path] of hostile.filter(([path]) => !path.includes('é'))) {
    const response = await headOf(server.port, `GET ${path} HTTP/1.1`);
    const [, location] = /^location: (.*)\r$/im.exec(response) ?? [];
    expect(response).not.toMatch(/^set-cookie:/im);
    if (location === undefined) expect(response).toMatch(/^HTTP\/1\.1 404 /);
    else expect(new URL(location).href).toMatch(/^https:\/\/upstream\.example\/v2\/project\/images\//);
  }
  for (const target of [
    'http://evil.example/v2/a/manifests/1',
    '/v2/a\\..\\..\\..\\..\\secret',
    '/v2/a/manifests/1#x',
  ]) {
    const response = await headOf(server.port, `GET ${target} HTTP/1.1`);
    expect(response).toMatch(/^location: https:\/\/upstream\.example\/v2\/project\/images\/|^HTTP\/1\.1 40[04] /im);
  }
});

test('over a socket, the client is who is connected', async () => {
  const { front } = frontOf({ ranges: [{ prefix: '127.0.0.0/8', cloud: 'AWS', region: 'eu-west-3' }] });
  const server = await listen(front);
  atEnd(server.close);
  const response = await fetch(`${server.url}/v2/a/blobs/${digest}`, { redirect: 'manual' });
  expect(response.headers.get('location')).toBe(`https://paris.example/containers/images/${digest}`);
});

test('each response is reported, with what it leads to and for whom', async () => {
  const events: FrontEvent[] = [];
  const onEvent = (event: FrontEvent) => {
    events.push(event);
    throw new Error('not the request’s problem');
  };
  const { locate, blobFrom } = frontOf({ onEvent });
  await blobFrom('35.180.1.2');
  await blobFrom('34.80.0.1');
  for (const path of ['/', '/v2/', '/v2/a/tags/list', '/nothing']) await locate(`GET ${path}`);
  await Promise.resolve();
  expect(events.map(({ status, to, client, region }) => [status, to, client, region?.region])).toEqual([
    [307, 'bucket', '35.180.1.2', 'eu-west-3'],
    [307, 'upstream', '34.80.0.1', 'asia-east1'],
    [307, 'info', undefined, undefined],
    [200, undefined, undefined, undefined],
    [307, 'upstream', undefined, undefined],
    [404, undefined, undefined, undefined],
  ]);
  expect(events[0]?.digest).toBe(digest);
});

test('a front keeps no more than the blobs that it is allowed to remember', async () => {
  const { locate, log } = frontOf({ remembered: 2 });
  const blob = (index: number) => locate(`GET /v2/a/blobs/sha256:${String(index).padStart(64, '0')}`);
  for (const index of [1, 2, 1, 3, 1, 2]) await blob(index);
  expect(log.map((line) => line.slice(-1))).toEqual(['1', '2', '3', '2']);
});

test('wrong options are refused, all of them at once', () => {
  const options = {
    upstream: 'upstream.example',
    prefix: '../up',
    info: 'javascript:alert(1)',
    privacy: 'https://a.example/\r\nset-cookie: a=b',
    signatures: 'https://user:secret@signed.example',
    buckets: [{ url: bucket }, { url: bucket }, { url: bucket, regions: ['x'] }, { url: 'ftp://x', cloude: 'AWS' }],
    client: { proxies: ['10.0.0.0/40'] },
    checkTimeout: 0,
    keepQeury: true,
    ranges: [{ prefix: 'x', cloud: 'AWS', region: 'y' }],
  };
  const attempt = () => redirectFront(options as never);
  expect(attempt).toThrow(failsWith('INVALID_CONFIG'));
  let problems: unknown[] = [];
  try {
    attempt();
  } catch (error) {
    problems = (error as { problems: { key?: string; found: string }[] }).problems.map(
      ({ key, found }) => `${key}: ${found}`,
    );
    expect(String(error)).not.toContain('secret@');
  }
  expect(problems).toEqual(
    expect.arrayContaining([
      'upstream: found the text "upstream.example", expected an absolute http or https URL',
      expect.stringMatching(/^prefix: .*expected a path such as "project\/images"/),
      expect.stringMatching(/^info: .*expected an absolute http or https URL/),
      expect.stringMatching(/^privacy: .*expected an absolute http or https URL/),
      expect.stringMatching(/^signatures: .*expected a URL without user name and password/),
      expect.stringMatching(/^buckets\[2\]\.regions: .*expected a cloud with them/),
      expect.stringMatching(/^buckets\[3\]\.url: /),
      'buckets[3].cloude: unknown key "cloude", did you mean "cloud"?',
      expect.stringMatching(/^client\.proxies\[0\]: .*expected an address or a CIDR block/),
      expect.stringMatching(/^checkTimeout: .*from 1 on/),
      'keepQeury: unknown key "keepQeury", did you mean "keepQuery"?',
      expect.stringMatching(/^ranges\[0\]\.prefix: /),
    ]),
  );
});

test.each([
  [[{ url: bucket }, { url: bucket }], 'buckets[1]', 'the clients of buckets[0]'],
  [
    [
      { url: bucket, cloud: 'AWS', regions: ['a', 'b'] },
      { url: bucket, cloud: 'aws', regions: ['b'] },
    ],
    'buckets[1]',
    'the clients of buckets[0]',
  ],
  [[{ url: bucket, cloud: 'GCP' }], 'buckets[0].cloud', 'whose clients stay at the upstream'],
])('a bucket that would never be used is refused: %j', (given, key, found) => {
  expect(() => redirectFront({ upstream, buckets: given })).toThrow(
    failsWith('INVALID_CONFIG', {
      problems: [expect.objectContaining({ key, found: expect.stringContaining(found) })],
    }),
  );
});
