import { chmod } from 'node:fs/promises';
import { connect } from 'node:net';
import { delimiter } from 'node:path';
import { basicAccess, tokenAccess } from 'ocifetch/server';
import { expect, test, vi } from 'vitest';
import { samples } from '../../contract/source.ts';
import { certificate } from '../../server/certificate.ts';
import { atEnd, deadPort, rawServer } from '../../support/http.ts';
import { repairable, repairableHost } from '../../support/repairable.ts';
import { answers, folder, registry, run } from '../support.ts';

const errors = (code: string): string => JSON.stringify({ errors: [{ code, message: 'no' }] });

/** A file of mirrors of registry.test, which is never contacted itself. */
const mirrored = (mirrors: readonly object[], more: object = {}): string =>
  JSON.stringify({ registries: { 'registry.test': { mirrors, origin: 'never' } }, ...more });

/** How a blob is read once the manifest is known. */
const read = [
  `GET /v2/a/manifests/${samples.manifest.descriptor.digest}?ns=registry.test`,
  `GET /v2/a/blobs/${samples.config.descriptor.digest}?ns=registry.test`,
];

/** The line about the registry itself then. */
const itself =
  'left out   https://registry.test/v2  the registry itself is never contacted: the configuration allows only its mirrors (/dir/config.json:1).';

test('a host that serves is printed with every step, and the exit code is 0', async () => {
  const { url, requests } = await registry();
  const { path, plain } = await folder({ 'config.json': mirrored([{ url }]) });
  const { code, out, err } = await run(['doctor', '--config', path('config.json'), 'registry.test/a']);
  expect(plain(out)).toEqual([
    'ok         http://127.0.0.1:PORT/v2  name N ms (127.0.0.1), TCP N ms (127.0.0.1:PORT), /v2/ N ms (200), manifest N ms (DIGEST), blob N ms (from 127.0.0.1:PORT).',
    itself,
    'registry.test/a:latest would be served by http://127.0.0.1:PORT/v2.',
  ]);
  expect({ code, err }).toEqual({ code: 0, err: [] });
  expect(requests).toEqual(['GET /v2/', 'HEAD /v2/a/manifests/latest?ns=registry.test', ...read]);
});

/** What a host answers with, and what is said of it behind the steps that work. */
const refusals: readonly [name: string, status: number, body: string, type: string, told: string][] = [
  [
    '401',
    401,
    errors('UNAUTHORIZED'),
    'application/json',
    '/v2/ N ms (401), manifest failed after N ms (status 401). It requires a login: configure one (credentials) for 127.0.0.1:PORT, or correct the name, since some hosts say this of what does not exist.',
  ],
  [
    '403',
    403,
    errors('DENIED'),
    'application/json',
    '/v2/ failed after N ms (403), manifest failed after N ms (status 403, DENIED "no"). Without a login nobody may read "a" there: request access.',
  ],
  [
    '412',
    412,
    errors('PROJECTPOLICYVIOLATION'),
    'application/json',
    '/v2/ failed after N ms (412), manifest failed after N ms (status 412, PROJECTPOLICYVIOLATION "no"). It has a rule against it, which its message names: ask whoever runs it.',
  ],
  [
    '429',
    429,
    errors('TOOMANYREQUESTS'),
    'application/json',
    '/v2/ failed after N ms (429), manifest failed after N ms (status 429, TOOMANYREQUESTS "no"). It limits requests: wait, log in, or configure a mirror of it.',
  ],
  [
    '500',
    500,
    errors('UNKNOWN'),
    'application/json',
    '/v2/ failed after N ms (500), manifest failed after N ms (status 500, UNKNOWN "no"). The host itself fails: look at its log, or ask its operator.',
  ],
  [
    'a web page',
    200,
    '<!doctype html><title>Log in</title>',
    'text/html; charset=utf-8',
    '/v2/ failed after N ms (200, a web page), manifest failed after N ms (HTML, "text/html"). What responds is not a registry: a login page, a proxy, or another path; correct url at /dir/config.json:1.',
  ],
  [
    '404',
    404,
    errors('MANIFEST_UNKNOWN'),
    'application/json',
    '/v2/ failed after N ms (404), manifest failed after N ms (tag "latest" is not at 127.0.0.1:PORT (status 404, MANIFEST_UNKNOWN "no")). It does not have it in "a": push it there, or correct the reference, if it should.',
  ],
];

test.each(refusals)('a mirror that responds with %s gets advice, and the next one serves', async (...row) => {
  const [, status, body, type, told] = row;
  const bad = await registry({ gate: answers(status, body, type) });
  const good = await registry();
  const { path, plain } = await folder({ 'config.json': mirrored([{ url: bad.url }, { url: good.url }]) });
  const { code, out } = await run(['doctor', '--config', path('config.json'), 'registry.test/a']);
  const [first = '', second = '', third = '', last = ''] = plain(out);
  expect(first).toBe(`failed     http://127.0.0.1:PORT/v2  name N ms (127.0.0.1), TCP N ms (127.0.0.1:PORT), ${told}`);
  expect(second).toMatch(/^ok {9}http:/);
  expect(third).toBe(itself);
  expect(last).toBe('registry.test/a:latest would be served by http://127.0.0.1:PORT/v2.');
  expect(code).toBe(0);
});

test('a dead mirror, one whose name does not exist and a silent one get different advice; the exit code is 1', async () => {
  const silent = await rawServer(() => undefined);
  const { path, plain } = await folder({
    'certs.d/registry.test/hosts.toml': [
      `server = "http://127.0.0.1:${await deadPort()}"`,
      '[host."http://nowhere.invalid"]',
      `[host."${silent.url}"]`,
    ].join('\n'),
  });
  const args = ['doctor', '--hosts-dir', path('certs.d'), '--timeout', '0.5', 'registry.test/a'];
  const { code, out } = await run(args);
  const file = '/dir/certs.d/registry.test/hosts.toml';
  expect(plain(out).map((line) => line.replace(/ENOTFOUND|EAI_AGAIN/, 'NO NAME'))).toEqual([
    `failed     http://nowhere.invalid/v2  name failed after N ms (NO NAME). The name does not exist: correct [host."…"] at ${file}:2, or this machine's DNS.`,
    expect.stringMatching(
      /^failed {5}http:\/\/127\.0\.0\.1:PORT\/v2 {2}name .*TCP N ms .*\/v2\/ failed after N ms \(.*It takes too long: look at its load, or give it more time with --timeout\.$/,
    ),
    `failed     http://127.0.0.1:PORT/v2  name N ms (127.0.0.1), TCP failed after N ms (ECONNREFUSED). Nothing listens there: start it, or correct [host."…"] at ${file}:1.`,
    'No host can serve registry.test/a:latest.',
  ]);
  expect(code).toBe(1);
});

test('a certificate that is not trusted is reported with the setting of the file that would trust it', async () => {
  const { port } = await registry({ tls: certificate });
  const host = `https://localhost:${port}`;
  const { path, plain } = await folder({
    'ca.pem': certificate.cert,
    'certs.d/registry.test/hosts.toml': `server = "${host}"`,
    'trusting/registry.test/hosts.toml': `server = "${host}"\nca = "../../ca.pem"`,
    'careless/registry.test/hosts.toml': `server = "${host}"\nskip_verify = true`,
  });
  const told = async (directory: string) => {
    const { code, out } = await run(['doctor', '--hosts-dir', path(directory), 'registry.test/a']);
    // The name and connection of localhost differ from machine to machine.
    return { code, line: plain(out)[0]?.replace(/name N ms .*?, TLS/, 'TLS') };
  };
  const facts = 'TLSv1.3, for localhost, 127.0.0.1, by localhost, until DATE';
  const rest = '/v2/ N ms (200), manifest N ms (DIGEST), blob N ms (from localhost:PORT).';
  expect(await told('certs.d')).toEqual({
    code: 1,
    line:
      `failed     https://localhost:PORT/v2  TLS failed after N ms (DEPTH_ZERO_SELF_SIGNED_CERT, ${facts}). ` +
      "This machine does not trust who signed the certificate: name the CA's file as ca at " +
      '/dir/certs.d/registry.test/hosts.toml:1, or in NODE_EXTRA_CA_CERTS; skip_verify = true would trust any certificate.',
  });
  expect(await told('trusting')).toEqual({
    code: 0,
    line: `ok         https://localhost:PORT/v2  TLS N ms (${facts}), ${rest}`,
  });
  expect(await told('careless')).toEqual({
    code: 0,
    line: `ok         https://localhost:PORT/v2  TLS N ms (${facts}, not verified as configured), ${rest}`,
  });
});

test('a host that speaks http instead of https is reported', async () => {
  const { port } = await registry();
  const { path, plain } = await folder({
    'registries.yaml': `mirrors:\n  registry.test:\n    endpoint: ["https://127.0.0.1:${port}"]\n`,
  });
  const { out } = await run(['doctor', '--registries-yaml', path('registries.yaml'), 'registry.test/a']);
  expect(plain(out)[0]).toContain(
    'It does not speak TLS: write http:// in endpoint at /dir/registries.yaml:3, if that is intended.',
  );
});

test('a token is a step of its own, and a refused login is reported with where it came from', async () => {
  const users = { user: 'right' };
  const { protect, token } = tokenAccess({ realm: '/token', service: 'test', users });
  const { url } = await registry({
    gate: (next) => {
      const gated = protect(next);
      return (request) => (new URL(request.url).pathname === '/token' ? token(request) : gated(request));
    },
  });
  const host = new URL(url).host;
  const file = (password: string) => mirrored([{ url }], { credentials: { [host]: { username: 'user', password } } });
  const { path, plain } = await folder({ 'right.json': file('right'), 'wrong.json': file('hidden') });
  const right = await run(['doctor', '--config', path('right.json'), 'registry.test/a']);
  expect(plain(right.out)[0]).toContain(
    '/v2/ N ms (401), token N ms (200 from 127.0.0.1:PORT), manifest N ms (DIGEST), blob N ms (from 127.0.0.1:PORT).',
  );
  const wrong = await run(['doctor', '--config', path('wrong.json'), 'registry.test/a']);
  expect(plain(wrong.out)[0]).toContain('token failed after N ms (401 from 127.0.0.1:PORT)');
  expect(plain(wrong.out)[0]).toMatch(
    /It refuses the login of credentials\["127\.0\.0\.1:PORT"\]: log in again \(credentials\) at 127\.0\.0\.1:PORT\.$/,
  );
  expect(JSON.stringify(wrong)).not.toContain('hidden');
});

test('a login by Basic works without a token', async () => {
  const { url } = await registry({ gate: basicAccess({ realm: 'test', users: { user: 'right' } }) });
  const { path, plain } = await folder({
    'config.json': mirrored([{ url }], {
      credentials: { [new URL(url).host]: { username: 'user', password: 'right' } },
    }),
  });
  const { code, out } = await run(['doctor', '--config', path('config.json'), 'registry.test/a']);
  expect(plain(out)[0]).toContain('/v2/ N ms (401), manifest N ms (DIGEST), blob N ms (from 127.0.0.1:PORT).');
  expect(code).toBe(0);
});

test('a mirror only for digests is examined with the digest that another host returned', async () => {
  const mirror = await registry();
  const origin = await registry();
  const { path, plain } = await folder({
    'config.json': mirrored([{ url: mirror.url, capabilities: ['pull'] }, { url: origin.url }]),
    'alone.json': mirrored([{ url: mirror.url, capabilities: ['pull'] }]),
  });
  const { out } = await run(['doctor', '--config', path('config.json'), 'registry.test/a']);
  expect(plain(out).filter((line) => line.startsWith('ok'))).toHaveLength(2);
  expect(mirror.requests).toEqual([
    'GET /v2/',
    `HEAD /v2/a/manifests/${samples.manifest.descriptor.digest}?ns=registry.test`,
    ...read,
  ]);
  const alone = await run(['doctor', '--config', path('alone.json'), 'registry.test/a']);
  expect(alone.code).toBe(1);
  expect(plain(alone.out)[0]).toBe(
    'not used   http://127.0.0.1:PORT/v2  name N ms (127.0.0.1), TCP N ms (127.0.0.1:PORT), /v2/ N ms (200); only trusted with digests, and no other host resolved the tag.',
  );
});

test('a host behind a proxy is examined through it, and a dead proxy is reported', async () => {
  const { port, requests } = await registry();
  const proxy = await rawServer((socket) => {
    socket.once('data', (head) => {
      const upstream = connect(port, '127.0.0.1');
      if (head.toString().startsWith('CONNECT ')) socket.write('HTTP/1.1 200 Connected\r\n\r\n');
      else upstream.write(head);
      socket.pipe(upstream).on('error', () => socket.destroy());
      upstream.pipe(socket);
    });
  });
  const dead = await deadPort();
  const mirrors = [{ url: 'http://mirror.test' }];
  const { path, plain } = await folder({
    'config.json': mirrored(mirrors, { proxy: { http: `http://user:hidden@127.0.0.1:${proxy.port}` } }),
    'dead.json': mirrored(mirrors, { proxy: { http: `http://user:hidden@127.0.0.1:${dead}` } }),
  });
  const alive = await run(['doctor', '--config', path('config.json'), 'registry.test/a']);
  expect(plain(alive.out)[0]).toBe(
    'ok         http://mirror.test/v2  name N ms (127.0.0.1), TCP N ms (127.0.0.1:PORT), /v2/ N ms (200), manifest N ms (DIGEST), blob N ms (from mirror.test); through the proxy http://127.0.0.1:PORT/.',
  );
  expect(requests.map((line) => line.replace('http://mirror.test', ''))).toEqual([
    'GET /v2/',
    'HEAD /v2/a/manifests/latest?ns=registry.test',
    ...read,
  ]);
  const without = await run(['doctor', '--config', path('dead.json'), 'registry.test/a']);
  expect(plain(without.out)[0]).toBe(
    'failed     http://mirror.test/v2  name N ms (127.0.0.1), TCP failed after N ms (ECONNREFUSED); through the proxy http://127.0.0.1:PORT/. Nothing listens there: start it, or correct the proxy http://127.0.0.1:PORT/.',
  );
  expect(JSON.stringify([alive, without])).not.toContain('hidden');
});

test('a clock that differs by more than a minute is reported', async () => {
  const date = new Date(Date.now() - 3_600_000).toUTCString();
  const { url } = await registry({
    gate: (next) => async (request) => {
      const response = await next(request);
      response.headers.set('date', date);
      return response;
    },
  });
  const { path, plain } = await folder({ 'config.json': mirrored([{ url }]) });
  const { out } = await run(['doctor', '--config', path('config.json'), 'registry.test/a']);
  expect(plain(out)[0]).toMatch(/; the clock of this machine is 36\d\d s ahead of the host's: set it\.$/);
});

test('a mirror whose rewrite does not give a name is left out with its line', async () => {
  const { url } = await registry();
  const { path, plain } = await folder({
    'config.json': mirrored([{ url: 'https://m.test', rewrites: [{ pattern: '.*', replacement: '..' }] }, { url }]),
  });
  const { code, out } = await run(['doctor', '--config', path('config.json'), 'registry.test/a']);
  expect(plain(out)[1]).toMatch(
    /^left out {3}https:\/\/m\.test\/v2 {2}Cannot rewrite "a" by .* \(\/dir\/config\.json:1\)\.$/,
  );
  expect(code).toBe(0);
});

test('a redirect loop, a rate limit and a refused token are reported in the words of the host', async () => {
  const loop = await registry({
    gate:
      () =>
      async ({ url }) =>
        new Response(null, { status: 302, headers: { location: url } }),
  });
  const later = await registry({
    gate: answers(429, errors('TOOMANYREQUESTS'), 'application/json', { 'retry-after': '120' }),
  });
  const barred: Awaited<ReturnType<typeof registry>> = await registry({
    gate: () => async (request) =>
      new URL(request.url).pathname === '/token'
        ? new Response('{"details":"no access for you"}', {
            status: 403,
            headers: { 'content-type': 'application/json' },
          })
        : new Response('', {
            status: 401,
            headers: { 'www-authenticate': `Bearer realm="${new URL('/token', request.url)}",service="s"` },
          }),
  });
  const { path, plain } = await folder({
    'config.json': mirrored([{ url: loop.url }, { url: later.url }, { url: barred.url }]),
  });
  const { out } = await run(['doctor', '--config', path('config.json'), 'registry.test/a']);
  const [first = '', second = '', third = ''] = plain(out);
  expect(first).toContain('It redirects without end: correct url at');
  expect(second).toContain(
    '/v2/ failed after N ms (429), manifest failed after N ms (status 429, TOOMANYREQUESTS "no"',
  );
  expect(second).toContain('It limits requests: wait 120 s, log in,');
  expect(third).toContain('manifest failed after N ms (status 403, "no access for you")');
});

test('--json prints the steps', async () => {
  const { url } = await registry();
  const { path } = await folder({ 'config.json': mirrored([{ url }]) });
  const { out } = await run(['doctor', '--json', '--config', path('config.json'), 'registry.test/a']);
  expect(JSON.parse(out.join('\n'))).toMatchObject({
    reference: { registry: 'registry.test', name: 'a', tag: 'latest' },
    hosts: [
      {
        url: `${url}/v2`,
        verdict: 'ok',
        steps: [
          { name: 'name', ok: true },
          { name: 'tcp', ok: true },
          { name: 'api', ok: true, status: 200 },
          { name: 'manifest', ok: true, found: samples.manifest.descriptor.digest },
          { name: 'blob', ok: true, found: `from ${new URL(url).host}` },
        ],
      },
    ],
    skipped: [{ url: 'https://registry.test/v2', declaredAt: `${path('config.json')}:1` }],
  });
});

/** A helper's name, and what is to be done about its failure. */
const failingHelpers: readonly [name: string, advice: string][] = [
  ['nowhere', 'docker-credential-nowhere is not on PATH: install it, or remove it from the file that names it.'],
  [
    'broken',
    'Run docker-credential-broken yourself, or remove it from the file that names it: it failed with exit status 1, and said "the keychain is locked".',
  ],
];

test.runIf(process.platform !== 'win32').each(failingHelpers)(
  'a credential helper that fails, %s, is reported as such, and not as a refused login',
  async (name, advice) => {
    const { url, port } = await registry({ gate: basicAccess({ realm: 'test', users: { user: 'right' } }) });
    const { path, plain } = await folder({
      'config.json': mirrored([{ url }]),
      'docker.json': JSON.stringify({ credHelpers: { [`127.0.0.1:${port}`]: name } }),
      'bin/docker-credential-broken': '#!/bin/sh\necho the keychain is locked\nexit 1\n',
    });
    await chmod(path('bin/docker-credential-broken'), 0o755);
    vi.stubEnv('PATH', `${path('bin')}${delimiter}${process.env.PATH}`);
    atEnd(async () => void vi.unstubAllEnvs());
    const files = ['--config', path('config.json'), '--docker-config', path('docker.json')];
    const { code, out } = await run(['doctor', ...files, 'registry.test/a']);
    expect(plain(out)[0]?.slice(-advice.length)).toBe(advice);
    expect(code).toBe(1);
  },
);

/** The logins that are written down, the end of the line, and whether it is the written one that the host is sent. */
const emptyHelpers: readonly [auths: object, told: RegExp][] = [
  [
    {},
    /\(.*401.*\); docker-credential-empty has no login for 127\.0\.0\.1:PORT\. It requires a login: configure one \(credentials\) for 127\.0\.0\.1:PORT/,
  ],
  [
    { username: 'user', password: 'wrong' },
    /\(.*401.*\)\. It refuses the login of credentials\["127\.0\.0\.1:PORT"\]: log in again/,
  ],
];

test.runIf(process.platform !== 'win32').each(emptyHelpers)(
  'a credential helper without a login is reported as such, and not as a refused login, besides %j',
  async (login, told) => {
    const { url, port } = await registry({ gate: basicAccess({ realm: 'test', users: { user: 'right' } }) });
    const host = `127.0.0.1:${port}`;
    const { path, plain } = await folder({
      'config.json': mirrored([{ url }]),
      'docker.json': JSON.stringify({ auths: { [host]: login }, credHelpers: { [host]: 'empty' } }),
      'bin/docker-credential-empty': '#!/bin/sh\necho credentials not found in native keychain\nexit 1\n',
    });
    await chmod(path('bin/docker-credential-empty'), 0o755);
    vi.stubEnv('PATH', `${path('bin')}${delimiter}${process.env.PATH}`);
    atEnd(async () => void vi.unstubAllEnvs());
    const files = ['--config', path('config.json'), '--docker-config', path('docker.json')];
    const { code, out } = await run(['doctor', ...files, 'registry.test/a']);
    expect(plain(out)[0]).toMatch(told);
    expect(code).toBe(1);
  },
);

test('a registry of this machine that speaks TLS is examined over https, as a pull requests it', async () => {
  const { port } = await registry({ tls: certificate });
  const origin = { tls: { insecureSkipVerify: true } };
  const { path, plain } = await folder({
    'config.json': JSON.stringify({ registries: { [`127.0.0.1:${port}`]: { origin } } }),
  });
  const { code, out } = await run(['doctor', '--config', path('config.json'), `127.0.0.1:${port}/a`]);
  expect(plain(out)[0]).toMatch(/^ok {9}https:\/\/127\.0\.0\.1:PORT\/v2 {2}name .*, TLS N ms .*, blob N ms/);
  expect(code).toBe(0);
});

/** A registry that redirects blobs to another place, and keeps the rest. */
const redirecting = (place: string) =>
  registry({
    gate: (next) => async (request) =>
      request.url.includes('/blobs/')
        ? new Response(null, { status: 307, headers: { location: place + new URL(request.url).pathname } })
        : next(request),
  });

test('a redirect of a blob is followed, and where it fails is reported with the setting of that host', async () => {
  const storage = await registry({ tls: certificate });
  const { url } = await redirecting(`https://localhost:${storage.port}`);
  const here = mirrored([{ url }]);
  const entry = { origin: { tls: { insecureSkipVerify: true }, url: `https://localhost:${storage.port}` } };
  const { path, plain } = await folder({
    'config.json': here,
    'storage.json': JSON.stringify({
      registries: { ...JSON.parse(here).registries, [`localhost:${storage.port}`]: entry },
    }),
  });
  const found = async (file: string) => {
    const { code, out } = await run(['doctor', '--config', path(file), 'registry.test/a']);
    return { code, line: plain(out)[0] };
  };
  const advice =
    "This machine does not trust who signed the certificate: name the CA's file as " +
    `registries["localhost:PORT"].origin.tls.ca in ocifetch's own file, or in NODE_EXTRA_CA_CERTS; ` +
    'registries["localhost:PORT"].origin.tls.insecureSkipVerify: true would trust any certificate.';
  const refused = await found('config.json');
  expect(refused.line).toMatch(/^failed .* manifest N ms \(DIGEST\), blob failed after N ms \(its certificate is not/);
  expect(refused.line?.slice(-advice.length)).toBe(advice);
  expect(refused.code).toBe(1);
  const trusted = await found('storage.json');
  expect(trusted.line).toMatch(/^ok .*, blob N ms \(from localhost:PORT\)\.$/);
  expect(trusted.code).toBe(0);
});

test.each(Object.keys(repairable('a/b', '')))('a host that sends %s serves', async (way) => {
  const { manifest, config } = samples;
  const host = await repairableHost(way, [
    ...[manifest, config].map(({ descriptor, bytes }) => ({
      path: `/v2/a/${descriptor === config.descriptor ? 'blobs' : 'manifests'}/`,
      type: descriptor.mediaType,
      text: Buffer.from(bytes).toString(),
    })),
    { path: '/v2/', type: 'application/json', text: '{}' },
  ]);
  const { path } = await folder({ 'config.json': mirrored([{ url: host.url }]) });
  const { code, out } = await run(['doctor', '--config', path('config.json'), 'registry.test/a']);
  expect({ code, out }).toMatchObject({ code: 0, out: expect.arrayContaining([expect.stringMatching(/^ok .*blob/)]) });
});
