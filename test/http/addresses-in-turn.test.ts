import dns from 'node:dns';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RegistryError } from '../../src/errors.ts';
import { addressesInTurn, byTurns } from '../../src/http/addresses-in-turn.ts';
import { connectionError, isUnreachable } from '../../src/http/connection-error.ts';
import { type ConnectionSettings, createConnections } from '../../src/http/connections.ts';
import { certificate } from '../server/certificate.ts';
import { atEnd, failureOf, httpServer } from '../support/http.ts';
import { startProxy } from '../support/proxy.ts';

type Connect = Parameters<typeof addressesInTurn>[0];
type Lookup = Parameters<typeof addressesInTurn>[1];

const familyOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4);
const found = (addresses: readonly string[]) => addresses.map((address) => ({ address, family: familyOf(address) }));

const lookupOf =
  (addresses: readonly string[]): Lookup =>
  (_name, _options, callback) =>
    callback(null, found(addresses));

/** Milliseconds until an address is connected to, or the code that it fails with; one that is not listed leads nowhere. */
type Network = Readonly<Record<string, number | string>>;

const target = { hostname: 'registry.test', host: 'registry.test', protocol: 'http:', port: '80' };

/** Connects to the addresses over such a network; the log says when each attempt begins and ends. */
function connectOver(network: Network, addresses: readonly string[]) {
  const log: string[] = [];
  const started = Date.now();
  const note = (text: string): void => void log.push(`${Date.now() - started} ${text}`);
  const connect = (({ hostname }, callback) => {
    note(hostname);
    const socket = { destroy: () => note(`${hostname} ended`), hostname };
    const outcome = network[hostname];
    if (typeof outcome === 'number') setTimeout(() => callback(null, socket as never), outcome);
    if (typeof outcome === 'string')
      setTimeout(() => callback(Object.assign(new Error(outcome), { code: outcome }), null), 1);
    return socket;
  }) as Connect;
  let connecting = { destroy: (): void => {} };
  const outcome = new Promise<string>((resolve, reject) => {
    connecting = addressesInTurn(connect, lookupOf(addresses))(target, (error, socket) => {
      if (socket) resolve((socket as unknown as { hostname: string }).hostname);
      else reject(error);
    });
  });
  return { outcome, log, destroy: () => connecting.destroy() };
}

describe('over a network of which one part is dead', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test.each([
    ['IPv6', ['::2', '10.0.0.1']],
    ['IPv6, listed last', ['10.0.0.1', '::2']],
    ['IPv6, with two addresses', ['::2', '::3', '10.0.0.1']],
    ['IPv4', ['10.0.0.2', '2001:db8::1']],
    ['IPv4, listed last', ['2001:db8::1', '10.0.0.2']],
  ])('a connection that takes a second is made if %s leads nowhere', async (_, addresses) => {
    const { outcome, log } = connectOver({ '10.0.0.1': 1_000, '2001:db8::1': 1_000 }, addresses);
    await vi.advanceTimersByTimeAsync(1_600);
    expect(await outcome).toBe(addresses.find((one) => one === '10.0.0.1' || one === '2001:db8::1'));
    expect(log.filter((line) => line.endsWith('ended'))).toHaveLength(addresses.length - 1);
  });

  test('the next address is tried after a quarter of a second, and at once after a failure', async () => {
    const network = { '10.0.0.1': 'ECONNREFUSED', '10.0.0.3': 600 };
    const { outcome, log } = connectOver(network, ['::2', '10.0.0.1', '10.0.0.3']);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await outcome).toBe('10.0.0.3');
    expect(log.slice(0, 3)).toEqual(['0 ::2', '250 10.0.0.1', '251 10.0.0.3']);
  });

  test('if all fail, the error has the reasons of all, and is one of a host that cannot be reached', async () => {
    const network = { '::2': 'ENETUNREACH', '10.0.0.1': 'ECONNREFUSED' };
    const failing = failureOf(connectOver(network, ['::2', '10.0.0.1']).outcome);
    await vi.advanceTimersByTimeAsync(500);
    const error = await failing;
    expect(error).toMatchObject({ code: 'ENETUNREACH', errors: [{ code: 'ENETUNREACH' }, { code: 'ECONNREFUSED' }] });
    const stated = connectionError(error, 'UNAVAILABLE', 'reach', 'http://registry.test/');
    expect([isUnreachable(stated), stated.found]).toEqual([true, 'ENETUNREACH; ECONNREFUSED']);
  });

  test('a wrong certificate is reported at once, whatever leads nowhere; after a reset another address is tried', async () => {
    const wrong = failureOf(connectOver({ '10.0.0.1': 'CERT_HAS_EXPIRED' }, ['::2', '10.0.0.1']).outcome);
    await vi.advanceTimersByTimeAsync(300);
    expect(await wrong).toMatchObject({ code: 'CERT_HAS_EXPIRED' });
    const { outcome } = connectOver({ '::2': 'ECONNRESET', '10.0.0.1': 10 }, ['::2', '10.0.0.1']);
    await vi.advanceTimersByTimeAsync(300);
    expect(await outcome).toBe('10.0.0.1');
  });

  test('the failure of a single address is the error itself', async () => {
    const failing = failureOf(connectOver({ '10.0.0.1': 'ECONNRESET' }, ['10.0.0.1']).outcome);
    await vi.advanceTimersByTimeAsync(10);
    expect(await failing).toMatchObject({ message: 'ECONNRESET' });
  });

  test('given up, all attempts end, none begins, and a late connection is closed', async () => {
    const { log, destroy } = connectOver({ '10.0.0.1': 400 }, ['::2', '10.0.0.1', '::3']);
    await vi.advanceTimersByTimeAsync(300);
    destroy();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(log).toEqual(['0 ::2', '250 10.0.0.1', '300 ::2 ended', '300 10.0.0.1 ended', '650 10.0.0.1 ended']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

test('families take turns, beginning with that of the first address', () => {
  expect(byTurns(found(['::1', '::2', '::3', '10.0.0.1', '10.0.0.2']))).toEqual([
    '::1',
    '10.0.0.1',
    '::2',
    '10.0.0.2',
    '::3',
  ]);
  expect(byTurns(found(['10.0.0.1', '::1']))).toEqual(['10.0.0.1', '::1']);
  expect(byTurns([])).toEqual([]);
});

/** A port whose IPv6 side accepts connections and says nothing, and whose IPv4 side is served. */
async function halfDead(serve: (port: number) => Promise<number>): Promise<number> {
  const port = await serve(0);
  const silent = createServer(() => undefined).listen(port, '::1');
  await once(silent, 'listening');
  atEnd(async () => void silent.close());
  return port;
}

const bothFamilies = ((_name: string, _options: unknown, callback: (error: null, all: dns.LookupAddress[]) => void) =>
  process.nextTick(callback, null, found(['::1', '127.0.0.1']))) as typeof dns.lookup;

async function requestOver(settings: Partial<ConnectionSettings>, origin: string): Promise<string> {
  const modules = { undici: await import('undici'), dns: { ...dns, lookup: bothFamilies } };
  const connections = createConnections();
  atEnd(() => connections.destroy(new RegistryError('CLOSED', 'the test is over')));
  const all: ConnectionSettings = { policy: 'any', family: undefined, tls: undefined, proxy: undefined, ...settings };
  const { pool, release } = connections.use(modules, all, 'registry.test');
  const { body } = await pool.agent.request({ origin, path: '/', method: 'GET' });
  return body.text().finally(release);
}

async function tlsOnIpv4(port: number): Promise<number> {
  const server = createTlsServer(certificate, (socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\ntext'));
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  atEnd(async () => void server.close());
  return (server.address() as { port: number }).port;
}

test.each([
  ['any', { policy: 'any' }],
  ['only private', { policy: 'private' }],
] as const)(
  'over TLS the family that does not respond costs a quarter of a second, where %s addresses are allowed',
  async (_, rules) => {
    const port = await halfDead(tlsOnIpv4);
    const tls = { ca: [certificate.cert] };
    expect(await requestOver({ ...rules, tls }, `https://localhost:${port}`)).toBe('text');
  },
);

test('a proxy is connected to by the same rule, for plain http and for tunnels', async () => {
  const plain = await startProxy({});
  expect(await requestOver({ proxy: plain.url.replace('127.0.0.1', 'proxy.test') }, 'http://registry.test')).toBe(
    'from the proxy',
  );
  const behind = await tlsOnIpv4(0);
  const secure = await startProxy({ behind, tls: certificate });
  const { port } = new URL(secure.url);
  const silent = createServer(() => undefined).listen(Number(port), '::1');
  await once(silent, 'listening');
  atEnd(async () => void silent.close());
  // The certificate of the proxy is not one that this machine trusts: the proxy was reached nevertheless.
  const refused = await failureOf(requestOver({ proxy: `https://localhost:${port}` }, 'https://registry.test'));
  expect(refused).toMatchObject({ code: expect.stringMatching(/SELF_SIGNED/) });
  const tunnel = await startProxy({ behind });
  const tls = { ca: [certificate.cert] };
  const through = tunnel.url.replace('127.0.0.1', 'proxy.test');
  expect(await requestOver({ proxy: through, tls }, 'https://localhost')).toBe('text');
});

test('a plain connection to the family that is refused is followed by the other at once', async () => {
  const { port } = await httpServer((_request, response) => response.end('text'));
  expect(await requestOver({}, `http://registry.test:${port}`)).toBe('text');
});
