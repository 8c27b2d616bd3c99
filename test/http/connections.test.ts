import dns from 'node:dns';
import { generate } from 'selfsigned';
import { expect, test, vi } from 'vitest';
import { RegistryError } from '../../src/errors.ts';
import { type ConnectionSettings, createAgent, createConnections } from '../../src/http/connections.ts';
import { certificate } from '../server/certificate.ts';
import { atEnd, failureOf, httpsServer, rawServer } from '../support/http.ts';

const modules = { undici: await import('undici'), dns };

/** As many kinds of connections as wanted, which all work. */
const kind = (index: number): ConnectionSettings => ({
  policy: 'any',
  tls: { ca: [certificate.cert + '\n'.repeat(index)] },
  proxy: undefined,
});

/** At most two pools, and a server that ends `/slow` when `finish` is called. */
async function world() {
  let finish = (): void => {};
  const server = await httpsServer(certificate, (request, response) => {
    response.write('first');
    if (request.url === '/slow') finish = () => response.end('last');
    else response.end('last');
  });
  const connections = createConnections(2);
  atEnd(() => connections.destroy(new RegistryError('CLOSED', 'the test is over')));
  const ask = async (index: number): Promise<string> => {
    const { pool, release } = connections.use(modules, kind(index), 'host');
    const { body } = await pool.agent.request({ origin: server.url, path: '/', method: 'GET' });
    return body.text().finally(release);
  };
  /** The body of an open response. */
  const slow = (index: number) => {
    const { pool, release } = connections.use(modules, kind(index), 'host');
    const answer = pool.agent.request({ origin: server.url, path: '/slow', method: 'GET' });
    return answer.then(({ body }) => ({ text: failureOr(body.text().finally(release)) }));
  };
  return { server, connections, ask, slow, finish: () => finish() };
}

const failureOr = (text: Promise<string>): Promise<unknown> => text.catch((error: unknown) => error);

test('of three pools where two are kept the one unused for longest ends, after its exchanges', async () => {
  const { server, ask, slow, finish } = await world();
  const { text } = await slow(0);
  const left = server.closed();
  for (const index of [1, 2, 1, 2]) expect(await ask(index)).toBe('firstlast');
  expect(server.connections()).toBe(3);
  finish();
  expect(await text).toBe('firstlast');
  await left;
  expect(await ask(0)).toBe('firstlast');
  expect(server.connections()).toBe(4);
  expect(await ask(2), 'asked for after the first').toBe('firstlast');
  expect(server.connections()).toBe(4);
});

test('a pool that is dropped while it is not in use ends at once', async () => {
  const { server, ask } = await world();
  await ask(0);
  await ask(1);
  const left = server.closed();
  await ask(2);
  await left;
});

test('destroying them also ends the exchanges of a dropped pool', async () => {
  const { connections, ask, slow } = await world();
  const { text } = await slow(0);
  for (const index of [1, 2]) await ask(index);
  const reason = new RegistryError('CLOSED', 'enough');
  await connections.destroy(reason);
  expect(await text).toBe(reason);
});

test('a connection that cannot be started fails at once, and leaves no timer', async () => {
  const { url } = await rawServer((socket) => void socket.resume());
  const origin = url.replace('http:', 'https:');
  const other = await generate([{ name: 'commonName', value: 'other' }], { keyType: 'ec', algorithm: 'sha256' });
  const pool = { limits: new Map([[origin, 30]]) };
  const mismatched = { cert: certificate.cert, key: other.private };
  const agent = createAgent(modules, pool, { policy: 'any', tls: mismatched, proxy: undefined });
  atEnd(() => agent.destroy());
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const error = await failureOf(agent.request({ origin, path: '/', method: 'GET' }));
  const armed = vi.getTimerCount();
  vi.useRealTimers();
  expect(error).toMatchObject({ code: 'ERR_OSSL_X509_KEY_VALUES_MISMATCH' });
  expect(armed).toBe(0);
});
