import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { generate } from 'selfsigned';
import { expect, test } from 'vitest';
import { samples } from '../contract/source.ts';
import { httpsServer, rawServer } from '../support/http.ts';
import { bundledProgram } from '../support/program.ts';
import { type ProxyOptions, startProxy } from '../support/proxy.ts';
import { repairable, repairableHost } from '../support/repairable.ts';
import { folder } from './support.ts';

// What undici does in the library is also run through the built program, which has only parts of undici.
const program = bundledProgram();

/** Of the registry and of proxies that speak TLS. */
const { cert, private: key } = await generate([{ name: 'commonName', value: 'registry.test' }], {
  keyType: 'ec',
  algorithm: 'sha256',
  extensions: [
    { name: 'basicConstraints', cA: true },
    {
      name: 'subjectAltName',
      altNames: [
        { type: 2, value: 'registry.test' },
        { type: 7, ip: '127.0.0.1' },
        { type: 7, ip: '::1' },
      ],
    },
  ],
});
const tls = { cert, key };

/** Prints a manifest, with these variables in the environment. */
async function run(variables: Record<string, string>, reference = 'registry.test/app:latest', ...flags: string[]) {
  const { path } = await folder({});
  await writeFile(path('ca.pem'), cert);
  const inherited = Object.entries(process.env).filter(([name]) => !/proxy$/i.test(name));
  const child = spawn(process.execPath, [program.path, 'manifest', ...flags, reference], {
    env: { ...Object.fromEntries(inherited), HOME: path('.'), NODE_EXTRA_CA_CERTS: path('ca.pem'), ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 30_000,
  });
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk: Buffer) => {
      printed[name] += chunk.toString();
    });
  }
  const [code] = await once(child, 'close');
  return { code, ...printed };
}

const { descriptor, bytes } = samples.manifest;
const answer = (_request: unknown, response: import('node:http').ServerResponse): void => {
  response.writeHead(200, { 'content-type': descriptor.mediaType, 'content-length': bytes.length });
  response.end(bytes);
};
const registry = () => httpsServer(tls, answer);
const printed = expect.stringContaining('"schemaVersion"');

const joe = `Basic ${Buffer.from('joe:s3cret').toString('base64')}`;
const withLogin = (url: string): string => url.replace('://', '://joe:s3cret@');

test.each<[string, ProxyOptions]>([
  ['an http proxy', {}],
  ['a proxy with a login', { login: joe }],
  ['an https proxy', { tls }],
  ['a proxy at an IPv6 address', { address: '::1' }],
  ['an https proxy at an IPv6 address', { address: '::1', tls }],
])('the built program pulls through %s', async (_, options) => {
  const { port } = await registry();
  const proxy = await startProxy({ behind: port, ...options });
  const url = options.login ? withLogin(proxy.url) : proxy.url;
  expect(await run({ HTTPS_PROXY: url })).toEqual({ code: 0, stdout: printed, stderr: '' });
  expect(new Set(proxy.log)).toEqual(new Set([`CONNECT registry.test:443 ${options.login ?? 'anonymous'}`]));
});

test('the built program sends plain http to the proxy', async () => {
  const proxy = await startProxy({});
  const { path } = await folder({
    'ocifetch.json': '{"registries":{"plain.test":{"origin":{"url":"http://plain.test"}}}}',
  });
  const { stderr } = await run({ HTTP_PROXY: proxy.url }, 'plain.test/app:latest', '--config', path('ocifetch.json'));
  expect(proxy.log[0]).toMatch(/^(GET|HEAD) http:\/\/plain\.test\/v2\/app\/manifests\/latest anonymous$/);
  expect(stderr).toContain('plain.test');
});

test('the built program reports a proxy that refuses with 407, without its password', async () => {
  const proxy = await startProxy({});
  const { code, stderr } = await run({ HTTPS_PROXY: withLogin(proxy.url) });
  expect(code).not.toBe(0);
  expect(stderr).toContain('407');
  expect(stderr).not.toMatch(/s3cret|am9lOnMzY3JldA/);
});

test('the built program replaces a reused connection that is reset', async () => {
  let served = 0;
  const { port } = await rawServer((socket) => {
    let count = 0;
    socket.on('data', () => {
      count += 1;
      served += 1;
      if (count > 1) socket.resetAndDestroy();
      else if (served === 1) socket.write('HTTP/1.1 307 No\r\nlocation: /v2/\r\ncontent-length: 0\r\n\r\n');
      else {
        socket.write(
          `HTTP/1.1 200 OK\r\ncontent-type: ${descriptor.mediaType}\r\ncontent-length: ${bytes.length}\r\n\r\n`,
        );
        socket.write(bytes);
      }
    });
  });
  expect(await run({}, `127.0.0.1:${port}/app:latest`)).toMatchObject({ code: 0, stdout: printed });
});

test('the built program connects to an IPv6 address', async () => {
  const server = createServer(answer).listen(0, '::1');
  await once(server, 'listening');
  const { port } = server.address() as import('node:net').AddressInfo;
  const done = await run({}, `[::1]:${port}/app:latest`);
  server.closeAllConnections();
  server.close();
  expect(done).toMatchObject({ code: 0, stdout: printed });
});

test('the built program reads responses that RFC 9112 tells how to repair', async () => {
  const text = Buffer.from(bytes).toString();
  const ways = Object.keys(repairable('a/b', text));
  for (const way of ways) {
    const { port } = await repairableHost(way, [{ path: '/v2/app/manifests/', type: descriptor.mediaType, text }]);
    expect({ way, ...(await run({}, `127.0.0.1:${port}/app:latest`)) }).toMatchObject({
      way,
      code: 0,
      stdout: printed,
    });
  }
});
