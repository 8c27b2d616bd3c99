import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { hash } from 'bcryptjs';
import { afterEach, expect, test } from 'vitest';
import { readAppFile } from '../../../src/app/config/read.ts';
import { startApp } from '../../../src/app/file/app.ts';
import { samples } from '../../contract/source.ts';
import { startReceiver } from '../../server/notifications/receiver.ts';
import { startRedisServer } from '../../support/redis-server.ts';
import { accessOf, startS3Server } from '../../support/s3-server.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'ocifetch-app-'));
  closing.push(() => rm(path, { recursive: true }));
  return path;
}

/** Starts an app with this file, after `version`. */
async function start(text: string, { files = {}, environment = {} }: StartOptions = {}) {
  const directory = await folder();
  for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
  const path = join(directory, 'registry.yml');
  await writeFile(path, `version: 0.1\n${text}`);
  const lines: string[] = [];
  const listen = { host: '127.0.0.1', port: 0 };
  const app = await startApp(path, { environment, write: (line) => lines.push(line), listen });
  closing.push(() => app.stop(100));
  const ask = (line: string, init: RequestInit = {}) => {
    const [method = '', target] = line.split(' ');
    return fetch(`${app.url}${target}`, { method, redirect: 'manual', ...init });
  };
  return { app, ask, lines, directory };
}

interface StartOptions {
  readonly files?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
}

const memory = 'storage:\n  inmemory:\n';
const { config, large, manifest } = samples;

type Ask = Awaited<ReturnType<typeof start>>['ask'];

/** Pushes an image as `a/b:latest`, and gives the statuses. */
async function push(ask: Ask, headers: Record<string, string> = {}, prefix = ''): Promise<number[]> {
  const statuses: number[] = [];
  for (const { descriptor, bytes } of [config, large]) {
    const begun = await ask(`POST ${prefix}/v2/a/b/blobs/uploads/`, { headers });
    const location = new URL(begun.headers.get('location') ?? '');
    location.searchParams.set('digest', descriptor.digest);
    const put = await ask(`PUT ${location.pathname}${location.search}`, { body: bytes as BodyInit, headers });
    statuses.push(put.status);
  }
  const type = { 'content-type': manifest.descriptor.mediaType };
  const named = await ask(`PUT ${prefix}/v2/a/b/manifests/latest`, {
    body: manifest.bytes as BodyInit,
    headers: { ...headers, ...type },
  });
  return [...statuses, named.status];
}

test('every response has the version of the API and the headers of the file, those that fail too', async () => {
  const { ask } = await start(`${memory}http:\n  headers:\n    X-Content-Type-Options: [nosniff]\n`);
  for (const line of ['GET /v2/', 'GET /v2/a/b/manifests/x', 'GET /', 'GET /nowhere', 'GET /v2/_catalog?n=2000']) {
    const { headers } = await ask(line);
    expect([line, headers.get('docker-distribution-api-version'), headers.get('x-content-type-options')]).toEqual([
      line,
      'registry/2.0',
      'nosniff',
    ]);
  }
});

test('the base is an empty object for any method, and / is an empty response that nobody caches', async () => {
  const { ask } = await start(memory);
  const base = await ask('GET /v2/');
  expect([base.status, await base.text(), base.headers.get('content-length')]).toEqual([200, '{}', '2']);
  const root = await ask('GET /');
  expect([root.status, await root.text(), root.headers.get('cache-control')]).toEqual([200, '', 'no-cache']);
});

test('a push is complete, and locations are absolute unless relativeurls is set', async () => {
  const { ask, app } = await start(memory);
  expect(await push(ask)).toEqual([201, 201, 201]);
  const begun = await ask('POST /v2/a/b/blobs/uploads/');
  expect(begun.headers.get('location')).toMatch(new RegExp(`^${app.url}/v2/a/b/blobs/uploads/`));
  const relative = await start(`${memory}http:\n  relativeurls: true\n`);
  expect((await relative.ask('POST /v2/a/b/blobs/uploads/')).headers.get('location')).toMatch(/^\/v2\/a\/b\//);
  const host = await start(`${memory}http:\n  host: https://registry.example\n`);
  expect((await host.ask('POST /v2/a/b/blobs/uploads/')).headers.get('location')).toMatch(
    /^https:\/\/registry\.example\/v2\//,
  );
});

test('what a proxy says of the request counts only from a trusted address', async () => {
  const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'reg.example' };
  const other = { forwarded: 'for=1.2.3.4;proto=https;host="other.example:8443", for=10.0.0.1' };
  const trusting = await start(`${memory}http:\n  trustedproxies: [127.0.0.0/8]\n`);
  const location = async (ask: Ask, sent: Record<string, string>) =>
    (await ask('POST /v2/a/b/blobs/uploads/', { headers: sent })).headers.get('location');
  expect(await location(trusting.ask, headers)).toMatch(/^https:\/\/reg\.example\/v2\/a\/b\//);
  expect(await location(trusting.ask, other)).toMatch(/^https:\/\/other\.example:8443\/v2\/a\/b\//);
  expect(await location(trusting.ask, { 'x-forwarded-host': 'evil/../x' })).toMatch(/^http:\/\/127\.0\.0\.1:/);
  const plain = await start(memory);
  expect(await location(plain.ask, headers)).toMatch(/^http:\/\/127\.0\.0\.1:/);
});

test('with a prefix all paths are below it, those that responses name too', async () => {
  const { ask } = await start(`${memory}http:\n  prefix: /registry/\n`);
  expect((await ask('GET /registry/v2/')).status).toBe(200);
  const outside = await ask('GET /v2/');
  expect([outside.status, await outside.text()]).toEqual([404, '404 page not found\n']);
  const begun = await ask('POST /registry/v2/a/b/blobs/uploads/');
  expect(new URL(begun.headers.get('location') ?? '').pathname).toMatch(/^\/registry\/v2\/a\/b\/blobs\/uploads\//);
  expect(await push(ask, {}, '/registry')).toEqual([201, 201, 201]);
  const { digest, size } = large.descriptor;
  const read = await ask(`GET /registry/v2/a/b/blobs/${digest}`);
  expect([read.status, (await read.arrayBuffer()).byteLength]).toEqual([200, size]);
});

test('nothing can be deleted unless the file says so, nor written in maintenance', async () => {
  const { ask } = await start(memory);
  await push(ask);
  const { digest } = manifest.descriptor;
  const refused = await ask(`DELETE /v2/a/b/manifests/${digest}`);
  expect([refused.status, ((await refused.json()) as { errors: { code: string }[] }).errors[0]?.code]).toEqual([
    405,
    'UNSUPPORTED',
  ]);
  const open = await start(`${memory}  delete:\n    enabled: true\n`);
  await push(open.ask);
  expect((await open.ask(`DELETE /v2/a/b/manifests/${digest}`)).status).toBe(202);
  expect((await open.ask(`DELETE /v2/a/b/manifests/${digest}`)).status).toBe(404);
  const closed = await start(`${memory}  maintenance:\n    readonly:\n      enabled: true\n`);
  expect((await closed.ask('POST /v2/a/b/blobs/uploads/')).status).toBe(405);
});

test('the catalog has pages of 100, and more than maxentries is refused with the number', async () => {
  const { ask } = await start(`${memory}catalog:\n  maxentries: 5\n`);
  await push(ask);
  expect(await (await ask('GET /v2/_catalog')).json()).toEqual({ repositories: ['a/b'] });
  const refused = await ask('GET /v2/_catalog?n=6');
  expect([refused.status, await refused.json()]).toEqual([
    400,
    {
      errors: [{ code: 'PAGINATION_NUMBER_INVALID', message: 'invalid number of results requested', detail: { n: 6 } }],
    },
  ]);
});

test('content stays in a directory over a restart; one of distribution itself is refused', async () => {
  const text = 'storage:\n  filesystem:\n    rootdirectory: data\n';
  const first = await start(text);
  await push(first.ask);
  await first.app.stop(0);
  const again = await startApp(join(first.directory, 'registry.yml'), {
    ...{ environment: {}, write: () => {} },
    listen: { host: '127.0.0.1', port: 0 },
  });
  closing.push(() => again.stop(0));
  expect((await fetch(`${again.url}/v2/a/b/manifests/latest`)).status).toBe(200);
});

test('a bucket and a Redis keep everything of a server, which keeps nothing itself', async () => {
  const [bucket, redis] = await Promise.all([startS3Server(), startRedisServer({ password: 'redis-secret-1' })]);
  closing.push(bucket.close, redis.close);
  const { endpoint, credentials } = accessOf(bucket);
  const text = `storage:
  s3:
    bucket: registry
    region: us-east-1
    regionendpoint: ${endpoint}
    accesskey: ${credentials.accessKeyId}
    secretkey: { env: SOME_KEY }
  cache:
    blobdescriptor: redis
redis:
  addr: ${new URL(redis.url).host}
  password: { file: redis-password }
  pool: { maxactive: 2, idletimeout: 300s }
`;
  const options = {
    environment: { SOME_KEY: credentials.secretAccessKey },
    files: { 'redis-password': 'redis-secret-1\n' },
  };
  const [first, second] = [await start(text, options), await start(text, options)];
  expect(await push(first.ask)).toEqual([201, 201, 201]);
  expect((await second.ask(`HEAD /v2/a/b/blobs/${large.descriptor.digest}`)).status).toBe(200);
  const before = bucket.requests.length;
  const known = await first.ask(`HEAD /v2/a/b/blobs/${large.descriptor.digest}`);
  expect(known.headers.get('content-length')).toBe(String(large.bytes.length));
  expect(bucket.requests.length).toBe(before);
});

test('events go to the endpoints that are not disabled, with their secret headers', async () => {
  const receiver = await startReceiver();
  closing.push(receiver.close);
  const { ask, app } = await start(
    `${memory}notifications:
  events:
    includereferences: true
  endpoints:
    - name: one
      url: ${receiver.url}
      headers:
        Authorization: [{ env: AUDIT_TOKEN }]
      timeout: 1s
      threshold: 10
      backoff: 1s
      ignore: { actions: [pull] }
    - name: two
      url: http://127.0.0.1:1/
      disabled: true
`,
    { environment: { AUDIT_TOKEN: 'Bearer some-audit-token' } },
  );
  await push(ask);
  await ask('GET /v2/a/b/manifests/latest');
  await expect.poll(() => receiver.accepted.length).toBe(3);
  const [, , named] = receiver.accepted;
  expect(named).toMatchObject({ action: 'push', target: { repository: 'a/b', tag: 'latest' } });
  expect(named?.target.url).toBe(`${app.url}/v2/a/b/manifests/${manifest.descriptor.digest}`);
  expect(named?.target.references?.map(({ digest }) => digest)).toEqual([config.descriptor.digest]);
  expect(receiver.received[0]?.headers.authorization).toBe('Bearer some-audit-token');
});

test('each response is a line with the field names of distribution, refused ones too', async () => {
  const { ask, lines } = await start(`log:\n  formatter: json\n  fields:\n    service: registry\n${memory}`);
  await ask('GET /v2/a/b/blobs/sha256:00', { headers: { 'x-request-id': 'my-id', 'user-agent': 'me/1' } });
  await ask('GET /v2/_catalog?n=99999');
  await ask('GET /v2/a/b/manifests/v1');
  await expect.poll(() => lines.length).toBe(3);
  const [first, second, third] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(first).toMatchObject({
    ...{ msg: 'response completed', level: 'info', service: 'registry' },
    'http.request.id': 'my-id',
    'http.request.method': 'GET',
    'http.request.remoteaddr': '127.0.0.1',
    'http.request.useragent': 'me/1',
    'http.response.status': 400,
    'vars.name': 'a/b',
    'vars.digest': 'sha256:00',
  });
  expect(second).toMatchObject({ 'http.response.status': 400 });
  expect(third).toMatchObject({ 'http.response.status': 404, 'vars.reference': 'v1' });
});

test('while a file takes the server out of service everything is 503, and health says why', async () => {
  const { ask, directory } = await start(`${memory}health:\n  file:\n    - file: maintenance\n      interval: 10ms\n`);
  expect((await ask('GET /v2/')).status).toBe(200);
  await writeFile(join(directory, 'maintenance'), '');
  await expect.poll(async () => (await ask('GET /v2/')).status).toBe(503);
  const response = await ask('GET /v2/a/b/manifests/x');
  expect(await response.json()).toEqual({
    errors: [
      { code: 'UNAVAILABLE', message: 'service unavailable', detail: 'health check failed: please see /debug/health' },
    ],
  });
  const health = await ask('GET /healthz');
  expect([health.status, await health.json()]).toEqual([503, { maintenance: 'file exists' }]);
  await rm(join(directory, 'maintenance'));
  await expect.poll(async () => (await ask('GET /v2/')).status).toBe(200);
});

test('middleware is used by name; an unknown one, and one that fails, stop the start with the line', async () => {
  const { ask } = await start(
    `${memory}middleware:\n  registry:\n    - name: immutable\n    - name: ratelimit\n      options: { requests: 9, seconds: 60 }\n`,
  );
  expect(await push(ask)).toEqual([201, 201, 201]);
  const type = { 'content-type': manifest.descriptor.mediaType };
  const moved = Buffer.from(`${Buffer.from(manifest.bytes)}\n`);
  expect((await ask('PUT /v2/a/b/manifests/latest', { body: moved, headers: type })).status).toBe(403);
  await ask('GET /v2/');
  await ask('GET /v2/');
  await ask('GET /v2/');
  const limited = await ask('GET /v2/');
  expect([limited.status, Number(limited.headers.get('retry-after')) > 0]).toEqual([429, true]);
  const unknown = start(`${memory}middleware:\n  registry:\n    - name: imutable\n`);
  await expect(unknown).rejects.toThrow(/:6:7: middleware\.registry\[0\]\.name: found "imutable", expected one of/);
  const wrong = start(`${memory}middleware:\n  registry:\n    - name: ratelimit\n`);
  await expect(wrong).rejects.toThrow(/middleware\.registry\[0\].*requests/);
});

test('a module of the operator can be middleware', async () => {
  const files = {
    'mine.mjs': `export const handler = ({ text }) => (next) => async (request, connection) => {
      const response = await next(request, connection);
      response.headers.set('x-mine', text);
      return response;
    };`,
  };
  const { ask } = await start(
    `${memory}middleware:\n  registry:\n    - name: ./mine.mjs\n      options: { text: hello }\n`,
    { files },
  );
  expect((await ask('GET /v2/')).headers.get('x-mine')).toBe('hello');
});

test('settings of distribution that change nothing here are accepted, and named in the log', async () => {
  const { lines } = await start(
    `${memory}  tag:\n    concurrencylimit: 8\nhttp:\n  secret: asecretforlocaldevelopment\n`,
  );
  expect(lines.join('\n')).toContain('without effect here: storage.tag.concurrencylimit');
  expect(lines.join('\n')).toContain('without effect here: http.secret');
  expect(lines.join('\n')).not.toContain('asecretforlocaldevelopment');
});

test('a silly check lets every login pass, and challenges others', async () => {
  const { ask } = await start(`${memory}auth:\n  silly:\n    realm: my-realm\n    service: my-service\n`);
  const refused = await ask('GET /v2/a/b/manifests/x');
  expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
    401,
    'Bearer realm="my-realm",service="my-service",scope="repository:a/b:pull"',
  ]);
  expect((await ask('GET /v2/', { headers: { authorization: 'seriously, anything' } })).status).toBe(200);
});

test('the example of the documentation is a file that can be read', async () => {
  const page = await readFile(new URL('../../../docs/registry-app.md', import.meta.url), 'utf8');
  const [first = '', second = ''] = [...page.matchAll(/```yaml\n(version: 0\.1\n[\s\S]*?)```/g)].map(
    ([, text = '']) => text,
  );
  const directory = await folder();
  for (const [name, text] of Object.entries({ first, second })) {
    await writeFile(join(directory, name), text);
    expect((await readAppFile(join(directory, name), {})).settings.version).toBe(0.1);
  }
  const { ask } = await start(second.replace('version: 0.1\n', ''));
  expect((await ask('GET /v2/')).status).toBe(200);
});

test('users of an htpasswd file log in, and rules say what they may do', async () => {
  // The password is "secret-word".
  const htpasswd = `ann:${await hash('secret-word', 4)}\nbob:${await hash('other-word', 4)}\n`;
  const { ask } = await start(
    `${memory}auth:
  htpasswd: { realm: my-realm, path: users }
access:
  rules:
    - { repositories: ['**'], users: ['*'], actions: [pull] }
    - { repositories: ['a/**'], users: [ann], actions: [push] }
`,
    { files: { users: htpasswd } },
  );
  const login = (name: string, password: string) => ({ authorization: `Basic ${btoa(`${name}:${password}`)}` });
  expect(await push(ask, login('ann', 'secret-word'))).toEqual([201, 201, 201]);
  expect((await ask('GET /v2/a/b/manifests/latest', { headers: login('bob', 'other-word') })).status).toBe(200);
  expect((await ask('POST /v2/a/b/blobs/uploads/', { headers: login('bob', 'other-word') })).status).toBe(403);
  const refused = await ask('GET /v2/', { headers: login('ann', 'wrong') });
  expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
    401,
    expect.stringMatching(/^Basic realm="my-realm"/),
  ]);
});

test('no secret of the file is in a log, a response or an error', async () => {
  const secrets = {
    key: 'canary-s3-key-1',
    password: 'canary-redis-2',
    header: 'canary-header-3',
    url: 'canary-url-4',
  };
  const { ask, lines } = await start(
    `storage:
  s3:
    bucket: registry
    region: us-east-1
    regionendpoint: http://127.0.0.1:1
    accesskey: canary-access-0
    secretkey: ${secrets.key}
  cache: { blobdescriptor: redis }
log: { level: trace }
redis: { addr: '127.0.0.1:1', password: ${secrets.password}, dialtimeout: 100ms }
notifications:
  endpoints:
    - { name: a, url: 'http://user:${secrets.url}@127.0.0.1:1/', headers: { X-Token: [${secrets.header}] } }
`,
  );
  const bodies: string[] = [];
  for (const line of [
    'GET /v2/a/b/manifests/latest',
    'GET /v2/_catalog',
    'POST /v2/a/b/blobs/uploads/',
    'GET /healthz',
  ])
    bodies.push(await (await ask(line)).text());
  const wrong = (key: string): Promise<string> =>
    start(`storage:\n  inmemory:\nredis: { addr: 'x', ${key}: ${secrets.password}, dialtimeout: never }\n`).then(
      () => '',
      (error: unknown) => inspect(error, { depth: 9 }),
    );
  const everything = [...lines, ...bodies, await wrong('password')].join('\n');
  expect(everything).not.toContain('canary');
  expect(lines.length).toBeGreaterThan(3);
}, 20_000);

test('figures for Prometheus are at the debug address, with those of notifications', async () => {
  const receiver = await startReceiver();
  closing.push(receiver.close);
  const { ask, app } = await start(
    `${memory}http:
  debug: { addr: '127.0.0.1:0', prometheus: { enabled: true } }
notifications:
  endpoints:
    - { name: audit, url: '${receiver.url}' }
`,
  );
  expect(await push(ask)).toEqual([201, 201, 201]);
  await expect.poll(() => receiver.accepted.length).toBe(3);
  const text = await (await fetch(`${app.debugUrl}/metrics`)).text();
  expect(text).toContain('registry_http_requests_total{method="PUT",action="push",code="201"} 3');
  expect(text).toContain('registry_notifications_events_total{endpoint="audit"} 3');
  expect(await (await fetch(`${app.debugUrl}/debug/health`)).json()).toEqual({});
  expect((await fetch(`${app.debugUrl}/nowhere`)).status).toBe(404);
});

test('a proxy keeps what it gets from another registry, over a restart of that too, and takes nothing', async () => {
  const origin = await start(memory);
  await push(origin.ask);
  const { ask } = await start(`${memory}proxy:\n  remoteurl: ${origin.app.url}\n`);
  const { digest } = large.descriptor;
  expect((await ask('GET /v2/a/b/manifests/latest')).status).toBe(200);
  expect((await (await ask(`GET /v2/a/b/blobs/${digest}`)).arrayBuffer()).byteLength).toBe(large.bytes.length);
  await origin.app.stop(0);
  expect((await (await ask(`GET /v2/a/b/blobs/${digest}`)).arrayBuffer()).byteLength).toBe(large.bytes.length);
  expect((await ask('GET /v2/a/b/manifests/latest')).status).toBe(200);
  expect((await ask('POST /v2/a/b/blobs/uploads/')).status).toBe(405);
  expect((await ask(`DELETE /v2/a/b/manifests/${manifest.descriptor.digest}`)).status).toBe(405);
});

test('with the redirect middleware blobs are where distribution keeps them', async () => {
  const { ask } = await start(
    `${memory}middleware:\n  storage:\n    - name: redirect\n      options: { baseurl: 'https://cdn.example/x' }\n`,
  );
  await push(ask);
  const { digest } = large.descriptor;
  const hex = digest.slice('sha256:'.length);
  const moved = await ask(`GET /v2/a/b/blobs/${digest}`);
  const location = `https://cdn.example/x/docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
  expect([moved.status, moved.headers.get('location')]).toEqual([307, location]);
  expect((await ask(`GET /v2/a/b/blobs/sha256:${'0'.repeat(64)}`)).status).toBe(404);
});
