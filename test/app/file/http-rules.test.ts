import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type RequestOptions, request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { afterEach, expect, test } from 'vitest';
import { startApp } from '../../../src/app/file/app.ts';
import { samples } from '../../contract/source.ts';
import { certificate } from '../../server/certificate.ts';
import { startReceiver } from '../../server/notifications/receiver.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Starts an app in memory with these sections, beside files of these names. */
async function start(sections: object, files: Readonly<Record<string, string>> = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'ocifetch-app-'));
  closing.push(() => rm(directory, { recursive: true }));
  const text = JSON.stringify({ version: 0.1, storage: { inmemory: {} }, ...sections });
  for (const [name, content] of Object.entries({ ...files, 'registry.json': text }))
    await writeFile(join(directory, name), content);
  const app = await startApp(join(directory, 'registry.json'), {
    ...{ environment: {}, write: () => {} },
    listen: { host: '127.0.0.1', port: 0 },
  });
  closing.push(() => app.stop(100));
  return app;
}

const version = 'docker-distribution-api-version';

test('a response of middleware has the version of the API, too', async () => {
  const { url } = await start({
    middleware: { registry: [{ name: 'ratelimit', options: { requests: 1, seconds: 60 } }] },
  });
  const [first, second] = [await fetch(`${url}/v2/`), await fetch(`${url}/v2/`)];
  expect([first.status, first.headers.get(version)]).toEqual([200, 'registry/2.0']);
  expect([second.status, second.headers.get(version)]).toEqual([429, 'registry/2.0']);
});

test('behind a trusted proxy limits count the client that the proxy names, else whoever is connected', async () => {
  const middleware = { registry: [{ name: 'ratelimit', options: { requests: 1, seconds: 60 } }] };
  const statuses = async (url: string, ...clients: readonly string[]) => {
    const found: number[] = [];
    for (const client of clients)
      found.push((await fetch(`${url}/v2/`, { headers: { 'x-forwarded-for': client } })).status);
    return found;
  };
  const trusting = await start({ middleware, http: { trustedproxies: ['127.0.0.0/8', '10.0.0.1'] } });
  const clients = ['192.0.2.1', '192.0.2.2', '203.0.113.9, 192.0.2.1', '192.0.2.2, 10.0.0.1', '2001:db8::1', 'nobody'];
  expect(await statuses(trusting.url, ...clients)).toEqual([200, 200, 429, 429, 200, 200]);
  expect(await statuses(trusting.url, 'nobody else')).toEqual([429]);
  const plain = await start({ middleware });
  expect(await statuses(plain.url, '192.0.2.1', '192.0.2.2')).toEqual([200, 429]);
});

test('a method that a route does not have is refused with those that it has', async () => {
  const { url } = await start({});
  const allowed = async (method: string, path: string) => {
    const { status, headers } = await fetch(`${url}${path}`, { method });
    return [status, headers.get('allow')?.split(', ').sort().join(' ')];
  };
  expect(await allowed('POST', '/v2/a/b/manifests/x')).toEqual([405, 'DELETE GET HEAD PUT']);
  expect(await allowed('DELETE', '/v2/a/b/tags/list')).toEqual([405, 'GET HEAD']);
  expect(await allowed('GET', '/v2/a/b/blobs/uploads/')).toEqual([405, 'POST']);
  expect(await allowed('PUT', '/v2/_catalog')).toEqual([405, 'GET HEAD']);
});

test('a request keeps its id in the response, and gets another one for what is not an id', async () => {
  const { url } = await start({});
  const idOf = async (given: string) =>
    (await fetch(`${url}/v2/`, { headers: { 'x-request-id': given } })).headers.get('x-request-id');
  expect(await idOf('abc-1')).toBe('abc-1');
  expect(await idOf('a b"c')).toMatch(/^[\da-f-]{36}$/);
});

test('the URL of an event is below the host and the prefix of the file', async () => {
  const receiver = await startReceiver();
  closing.push(() => receiver.close());
  const { url } = await start({
    http: { host: 'https://registry.example/', prefix: '/below/' },
    notifications: { endpoints: [{ name: 'a', url: receiver.url }] },
  });
  const { descriptor, bytes } = samples.config;
  const put = await fetch(`${url}/below/v2/a/b/blobs/uploads/?digest=${descriptor.digest}`, {
    ...{ method: 'POST', body: bytes as BodyInit },
  });
  expect([put.status, put.headers.get('location')]).toEqual([
    201,
    `https://registry.example/below/v2/a/b/blobs/${descriptor.digest}`,
  ]);
  await expect
    .poll(() => receiver.accepted.map(({ target }) => target.url), { timeout: 10_000, interval: 10 })
    .toEqual([`https://registry.example/below/v2/a/b/blobs/${descriptor.digest}`]);
});

const signedByItself = async (name: string) => {
  const made = await generate([{ name: 'commonName', value: name }], { keyType: 'ec', algorithm: 'sha256' });
  return { cert: made.cert, key: made.private };
};

async function statusOf(url: string, options: RequestOptions = {}): Promise<number | undefined> {
  const sent = request(`${url}/v2/`, { ca: certificate.cert, agent: false, ...options }).end();
  const [response] = await once(sent, 'response');
  response.resume();
  return response.statusCode;
}

test('with clientcas a client needs a certificate of theirs, unless clientauth asks for one only', async () => {
  const [builder, stranger] = [await signedByItself('builder'), await signedByItself('stranger')];
  const files = { 'tls.crt': certificate.cert, 'tls.key': certificate.key, 'ca.pem': builder.cert };
  const tls = { certificate: 'tls.crt', key: 'tls.key', clientcas: ['ca.pem'], minimumtls: 'tls1.2' };
  const { url } = await start({ http: { tls } }, files);
  expect(url).toMatch(/^https:/);
  expect(await statusOf(url, builder)).toBe(200);
  await expect(statusOf(url)).rejects.toThrow();
  await expect(statusOf(url, stranger)).rejects.toThrow();
  const open = await start({ http: { tls: { ...tls, clientauth: 'verify-client-cert-if-given' } } }, files);
  expect(await statusOf(open.url)).toBe(200);
});

test('plain HTTP on the port of TLS is refused with a text, and a certificate that cannot be read by its key', async () => {
  const tls = { certificate: 'tls.crt', key: 'tls.key' };
  const { port } = await start({ http: { tls } }, { 'tls.crt': certificate.cert, 'tls.key': certificate.key });
  const socket = connect(port, '127.0.0.1').setEncoding('utf8');
  socket.write('GET /v2/ HTTP/1.1\r\nhost: a\r\n\r\n');
  let text = '';
  for await (const chunk of socket) text += chunk;
  expect(text).toMatch(/^HTTP\/1\.1 400 [\s\S]*Client sent an HTTP request to an HTTPS server\.\n$/);
  await expect(start({ http: { tls } })).rejects.toThrow(/http\.tls\.certificate: found a path that cannot be read/);
});
