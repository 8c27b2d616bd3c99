import { inspect } from 'node:util';
import { generate } from 'selfsigned';
import { expect, test } from 'vitest';
import { undiciTransport } from '../../src/http/undici.ts';
import type { ProxyConfig } from '../../src/proxy.ts';
import { atEnd, httpsServer, rawServer, textOf } from '../support/http.ts';
import { startProxy } from '../support/proxy.ts';

const proxy = (behind: number | undefined) => startProxy({ behind });

function through(config: ProxyConfig) {
  const transport = undiciTransport({ proxy: config, timeouts: { headers: 5_000 } });
  atEnd(() => transport.close());
  return transport;
}

const withLogin = (url: string): string => url.replace('://', '://joe:s3cret@');
const login = `Basic ${Buffer.from('joe:s3cret').toString('base64')}`;

test('plain http is sent to the proxy, with its login', async () => {
  const { url, log } = await proxy(undefined);
  const send = through({ http: withLogin(url) });
  expect(await textOf(await send({ method: 'GET', url: 'http://registry.test/v2/' }))).toBe('from the proxy');
  expect(log).toEqual([`GET http://registry.test/v2/ ${login}`]);
});

test('https goes through a tunnel, and the certificate is that of the host behind it', async () => {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'registry.test' }], {
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'registry.test' }] }],
  });
  const behind = await httpsServer({ cert, key }, (request, response) => response.end(`behind: ${request.url}`));
  const { url, log } = await proxy(behind.port);
  const send = through({ https: withLogin(url) });
  const request = { method: 'GET', url: 'https://registry.test/v2/' };
  expect(await textOf(await send({ ...request, tls: { ca: [cert] } }))).toBe('behind: /v2/');
  await expect(send(request)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(log).toEqual([`CONNECT registry.test:443 ${login}`, `CONNECT registry.test:443 ${login}`]);
});

test('a proxy that refuses is UNAVAILABLE, and its login is not in the error', async () => {
  const { url } = await proxy(undefined);
  const send = through({ https: withLogin(url) });
  const error = await send({ method: 'GET', url: 'https://registry.test/v2/' }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('407') });
  expect(inspect(error, { depth: 9 })).not.toMatch(/s3cret|am9lOnMzY3JldA/);
});

test('a proxy that does not exist is UNAVAILABLE', async () => {
  const send = through({ all: 'http://127.0.0.1:1' });
  await expect(send({ method: 'GET', url: 'http://registry.test/' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

test('a proxy that never opens the tunnel is left after the time to connect, and its connection is closed', async () => {
  const { url, log } = await startProxy({ isSilent: true });
  const transport = undiciTransport({ proxy: { https: url }, timeouts: { connect: 100, headers: 60_000 } });
  atEnd(() => transport.close());
  const sent = transport({ method: 'GET', url: 'https://registry.test/v2/' });
  await expect(sent).rejects.toMatchObject({ code: 'TIMEOUT', message: expect.stringContaining('100 ms') });
  await expect.poll(() => log).toEqual(['CONNECT registry.test:443 anonymous', 'closed']);
});

test('an abort ends a request at once whose tunnel or connection is not there yet', async () => {
  const { url } = await startProxy({ isSilent: true });
  const silent = await rawServer(() => {});
  for (const [config, to] of [
    [{ https: url }, 'https://registry.test/v2/'],
    [{}, silent.url.replace('http:', 'https:')],
  ] as const) {
    const transport = undiciTransport({ proxy: config, timeouts: { connect: 60_000, headers: 60_000 } });
    atEnd(() => transport.close());
    const sent = transport({ method: 'GET', url: to, signal: AbortSignal.timeout(50) });
    await expect(sent).rejects.toMatchObject({ code: 'ABORTED' });
    const late = undiciTransport({ proxy: config, timeouts: { connect: 60_000, headers: 50 } });
    atEnd(() => late.close());
    await expect(late({ method: 'GET', url: to })).rejects.toMatchObject({ code: 'TIMEOUT' });
  }
});

test('another origin at a private address is refused before the proxy is contacted', async () => {
  const { url, log } = await proxy(undefined);
  const send = through({ all: url });
  const request = { method: 'GET', url: 'http://10.1.2.3/layer', addresses: 'public' as const };
  await expect(send(request)).rejects.toMatchObject({ code: 'UNSAFE_URL' });
  expect(log).toEqual([]);
});
