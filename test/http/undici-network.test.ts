import dns from 'node:dns';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { socketTransport } from '../../src/http/socket/socket-transport.ts';
import type { ConnectedTransport, HttpRequest } from '../../src/http/transport.ts';
import { type NetworkOptions, type UndiciOptions, undiciTransport } from '../../src/http/undici.ts';
import { certificate } from '../server/certificate.ts';
import { atEnd, failsWith, failureOf, httpServer, httpsServer, textOf } from '../support/http.ts';

const get = (url: string, more: Partial<HttpRequest> = {}): HttpRequest => ({ method: 'GET', url, ...more });

function over(network: NetworkOptions, more: Omit<UndiciOptions, 'network'> = {}) {
  const transport = undiciTransport({ ...more, network });
  atEnd(() => transport.close());
  return transport;
}

/** A server at one port of 127.0.0.1 and of ::1, which reports the address that was reached. */
async function both(respond = (response: ServerResponse, host: string): void => void response.end(host)) {
  const servers = ['127.0.0.1', '::1'].map((host) => ({
    host,
    server: createServer((_, response) => respond(response, host)),
  }));
  let port = 0;
  for (const { host, server } of servers) {
    server.listen(port, host);
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
    atEnd(async () => {
      server.closeAllConnections();
      server.close();
    });
  }
  return port;
}

/** The system's look-up, with a hosts file of its own. */
const hosts: Readonly<Record<string, readonly string[]>> = {
  'both.test': ['::1', '127.0.0.1'],
  'four.test': ['127.0.0.1'],
  'six.test': ['::1'],
};
type Callback = (error: null, found: dns.LookupAddress[]) => void;
const lookup = ((hostname: string, _options: unknown, callback: Callback) => {
  const found = (hosts[hostname] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  process.nextTick(callback, null, found);
}) as typeof dns.lookup;

const reachable: [name: string, family: 4 | 6, reached: string | undefined][] = [
  ['both.test', 4, '127.0.0.1'],
  ['both.test', 6, '::1'],
  ['four.test', 4, '127.0.0.1'],
  ['four.test', 6, undefined],
  ['six.test', 6, '::1'],
  ['six.test', 4, undefined],
];

type Family = Pick<NetworkOptions, 'family'>;

describe.each<[string, (network: Family) => ConnectedTransport]>([
  ['undici', (network) => undiciTransport({ network })],
  ['sockets', socketTransport],
])('over %s', (_name, create) => {
  const make = (network: Family): ConnectedTransport => {
    const transport = create(network);
    atEnd(() => transport.close());
    return transport;
  };

  test('a literal address is connected to over its own family, and refused by the other', async () => {
    const port = await both();
    for (const [family, own, other] of [
      [4, '127.0.0.1', '[::1]'],
      [6, '[::1]', '127.0.0.1'],
    ] as const) {
      const transport = make({ family });
      const reached = await transport(get(`http://${own}:${port}/`));
      expect(await textOf(reached)).toBe(own.replace(/[[\]]/g, ''));
      const bare = other.replace(/[[\]]/g, '');
      expect(await failureOf(transport(get(`http://${other}:${port}/`)))).toEqual(
        failsWith('UNAVAILABLE', {
          host: bare,
          message: `Cannot connect to "${bare}": it is an IPv${family === 4 ? 6 : 4} address, and only IPv${family} is used`,
        }),
      );
    }
    const mapped = await make({ family: 4 })(get(`http://[::ffff:127.0.0.1]:${port}/`));
    expect(await textOf(mapped), 'an IPv4 address in an IPv6 one').toBe('127.0.0.1');
  });

  test('a response has the address of its own connection, though another one was made meanwhile', async () => {
    const held: (() => void)[] = [];
    // The name leads to another address at its second look-up. Both responses come when both connections are made.
    const port = await both((response, host) => {
      held.push(() => response.end(host));
      if (held.length >= 2) for (const respond of held) respond();
    });
    const addresses = ['127.0.0.1', '::1'].values();
    const rebinding = vi.spyOn(dns, 'lookup').mockImplementation(((
      _name: string,
      _options: object,
      callback: Callback,
    ) => {
      const address = addresses.next().value ?? '127.0.0.1';
      process.nextTick(callback, null, [{ address, family: address.includes(':') ? 6 : 4 }]);
    }) as typeof dns.lookup);
    onTestFinished(() => rebinding.mockRestore());
    const transport = make({});
    const responses = await Promise.all([1, 2].map(() => transport(get(`http://rebinding.test:${port}/`))));
    const reached = await Promise.all(responses.map(textOf));
    expect(rebinding).toHaveBeenCalledTimes(2);
    expect([...reached].sort()).toEqual(['127.0.0.1', '::1']);
    expect(responses.map(({ address }) => address)).toEqual(reached);
  });

  test('the rules of addresses apply with a family, too', async () => {
    const port = await both();
    for (const family of [4, 6] as const) {
      for (const host of ['127.0.0.1', '[::1]', 'localhost']) {
        const error = await failureOf(make({ family })(get(`http://${host}:${port}/`, { addresses: 'public' })));
        expect([family, host, error]).toEqual([
          family,
          host,
          expect.objectContaining({ code: expect.stringMatching(/^UN/) }),
        ]);
      }
      const own = family === 4 ? '127.0.0.1' : '[::1]';
      const error = await failureOf(make({ family })(get(`http://${own}:${port}/`, { addresses: 'public' })));
      expect(error).toEqual(failsWith('UNSAFE_URL'));
    }
  });

  test.each<[name: string, family: 4 | 6, reached: string | undefined]>(reachable)(
    '%s over only IPv%i is reached at %s',
    async (name, family, reached) => {
      const port = await both();
      const spied = vi.spyOn(dns, 'lookup').mockImplementation(lookup);
      onTestFinished(() => spied.mockRestore());
      const sent = make({ family })(get(`http://${name}:${port}/`, { addresses: 'private' }));
      if (reached === undefined) {
        const message = `Cannot connect to "${name}": it has no IPv${family} address`;
        expect(await failureOf(sent)).toEqual(failsWith('UNAVAILABLE', { host: name, message }));
        return;
      }
      const response = await sent;
      expect([await textOf(response), response.address]).toEqual([reached, reached]);
    },
  );
});

test('for a proxy the family is that of its own address', async () => {
  const port = await both();
  const request = get('http://registry.test/');
  const own = over({ family: 6 }, { proxy: { http: `http://[::1]:${port}` } });
  expect(await textOf(await own(request))).toBe('::1');
  const other = over({ family: 6 }, { proxy: { http: `http://127.0.0.1:${port}` } });
  expect(await failureOf(other(request))).toEqual(
    failsWith('UNAVAILABLE', { message: expect.stringContaining('it is an IPv4 address, and only IPv6 is used') }),
  );
});

test('a dispatcher makes the connections, with its own settings, and stays open', async () => {
  const { Agent } = await import('undici');
  const secured = await httpsServer(certificate, (_request, response) => response.end('secured'));
  const plain = await httpServer((request, response) => response.end(request.headers.host));
  const dispatcher = new Agent({ connect: { ca: certificate.cert } });
  atEnd(() => dispatcher.destroy());
  const transport = over({ dispatcher });
  expect(await textOf(await transport(get(secured.url)))).toBe('secured');
  expect(await textOf(await transport(get(plain.url)))).toBe(new URL(plain.url).host);
  await transport.close();
  expect(await failureOf(transport(get(plain.url)))).toEqual(failsWith('CLOSED'));
  expect(await textOf(await over({ dispatcher })(get(plain.url)))).toBe(new URL(plain.url).host);
});

test('a composed dispatcher is used: its interceptors decide where a request goes', async () => {
  const { Agent } = await import('undici');
  const { url } = await httpServer((request, response) => response.end(`reached as ${request.headers.host}`));
  const agent = new Agent();
  atEnd(() => agent.destroy());
  const dispatcher = agent.compose((dispatch) => (options, handler) => dispatch({ ...options, origin: url }, handler));
  expect(await textOf(await over({ dispatcher })(get('http://registry.test/')))).toMatch(/^reached as /);
});

test('a dispatcher takes no TLS settings, and hosts that are addresses are checked before it', async () => {
  const { Agent } = await import('undici');
  const server = await httpServer((_request, response) => response.end());
  const dispatcher = new Agent();
  atEnd(() => dispatcher.destroy());
  const transport = over({ dispatcher });
  expect(await failureOf(transport(get(server.url, { tls: { insecureSkipVerify: true } })))).toEqual(
    failsWith('INVALID_CONFIG', { message: expect.stringContaining('Cannot use the TLS settings of "127.0.0.1:') }),
  );
  expect(await failureOf(transport(get(server.url, { addresses: 'public' })))).toEqual(failsWith('UNSAFE_URL'));
  expect(server.connections()).toBe(0);
});

test('a dispatcher that fails is UNAVAILABLE', async () => {
  const dispatcher = { request: () => Promise.reject(new Error('out of order')) };
  expect(await failureOf(over({ dispatcher })(get('http://registry.test/')))).toEqual(
    failsWith('UNAVAILABLE', { message: 'Cannot reach "http://registry.test/": out of order' }),
  );
});

test('a family or a proxy beside a dispatcher is INVALID_CONFIG', async () => {
  const dispatcher = { request: () => Promise.reject(new Error('not request')) };
  expect(() => undiciTransport({ network: { dispatcher, family: 4 } })).toThrow('family is given beside it');
  expect(() => undiciTransport({ network: { dispatcher }, proxy: { all: 'http://p.test' } })).toThrow(
    expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringContaining('proxy is given beside it') }),
  );
  expect(() => undiciTransport({ network: { dispatcher }, proxy: { no: ['x.test'] } })).not.toThrow();
});
