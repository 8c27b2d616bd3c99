import { expect, onTestFinished, test, vi } from 'vitest';
import type { Config, RegistryError } from '../../src/index.ts';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { httpServer } from '../support/http.ts';

const dispatcher = { request: () => Promise.reject(new Error('not asked')) };
const config: Config = {
  registries: {
    'a.test': {
      mirrors: [{ url: 'https://m.test', tls: { insecureSkipVerify: true }, declaredAt: 'one:3' }],
      origin: { connectTimeout: 5 },
    },
    '*': { origin: { tls: { ca: ['/nowhere.pem'] } } },
  },
  proxy: { https: 'http://proxy.test', no: ['x.test'] },
};

function made(options: ClientOptions) {
  const warnings: string[] = [];
  const onEvent: ClientOptions['onEvent'] = (event) => {
    if (event.type === 'warning') warnings.push(event.text);
  };
  const { endpoints } = createClient({ ...options, onEvent }).plan('a.test/b');
  return { endpoints, warnings };
}

test('what a dispatcher does not use is told once, and a plan does not promise it', () => {
  const { endpoints, warnings } = made({ config, network: { dispatcher } });
  expect(warnings).toEqual([
    'the proxies of the configuration are not used: the client was given a dispatcher',
    'tls and connectTimeout of the configuration are not used (one:3, and 2 more): the client was given a dispatcher',
  ]);
  expect(endpoints.map(({ url }) => url)).toEqual(['https://m.test/v2', 'https://a.test/v2']);
  for (const endpoint of endpoints) {
    for (const setting of ['tls', 'connectTimeout', 'proxy']) expect(endpoint).not.toHaveProperty(setting);
  }
});

test('a transport uses no proxy of the configuration, but its TLS settings', () => {
  const transport = () => Promise.reject(new Error('not asked'));
  const { registries } = config;
  const { endpoints, warnings } = made({
    config: { registries: { 'a.test': registries?.['a.test'] ?? {} }, proxy: config.proxy },
    transport,
  });
  expect(warnings).toContain('the proxies of the configuration are not used: the client was given a transport');
  expect(endpoints[0]).toMatchObject({ tls: { insecureSkipVerify: true } });
  expect(endpoints[0]).not.toHaveProperty('proxy');
});

test.each<[options: object, message: string | RegExp]>([
  [{ network: { family: 5 } }, 'network.family'],
  [{ network: { family: '4' } }, 'network.family'],
  [{ network: { dispatcher: {} } }, 'network.dispatcher: found an object, expected a dispatcher of undici'],
  [{ network: { dispatch: dispatcher } }, 'unknown option "network.dispatch", did you mean "network.dispatcher"?'],
  [{ confg: {} }, 'unknown option "confg", did you mean "config"?'],
  [{ limits: { concurency: 3 } }, 'unknown option "limits.concurency", did you mean "limits.concurrency"?'],
  [{ externalUrls: { allowprivate: [] } }, /^Cannot create a client: /],
  [{ mirrors: [] }, 'unknown option "mirrors", expected one of config, resolver, transport, network, '],
  [{ network: { family: 4, dispatcher } }, 'network: found "family" and "dispatcher", expected only one of them'],
  [{ network: { family: 4 }, transport: () => {} }, 'network: found beside "transport", expected only one of them'],
])('%j is INVALID_CONFIG', (options, message) => {
  expect(() => createClient(options)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
  expect(() => createClient(options)).toThrow(message);
});

test.each<[options: object, message: string]>([
  [{ config: null }, 'config'],
  [{ retry: 3 }, 'unknown option "retry", expected one of config, resolver, '],
  [{ timeouts: { conect: 5 } }, 'unknown option "timeouts.conect", did you mean "timeouts.connect"?'],
  [{ timeouts: { connect: 0 } }, 'timeouts.connect: found 0, expected '],
  [{ timeouts: { headers: -1 } }, 'timeouts.headers: found -1, expected '],
  [{ timeouts: { idle: '5s' } }, 'timeouts.idle: found "5s", expected '],
  [{ timeouts: { idle: 2 ** 31 } }, 'timeouts.idle: found 2147483648, expected '],
  [
    { timeouts: { operation: Number.POSITIVE_INFINITY } },
    'timeouts.operation: found Infinity, expected a whole number, 1 to 2147483647',
  ],
  [{ timeouts: 5 }, 'timeouts: found 5, expected '],
  [{ retries: { tries: 0 } }, 'retries.tries: found 0, expected '],
  [{ retries: { backoff: 1.5 } }, 'retries.backoff: found 1.5, expected '],
  [{ limits: { manifestBytes: 0 } }, 'limits.manifestBytes: found 0, expected '],
  [{ limits: { redirects: -1 } }, 'limits.redirects: found -1, expected '],
  [{ limits: { concurrency: 0 } }, 'limits.concurrency: found 0, expected '],
  [{ limits: { discardBytes: Number.NaN } }, 'limits.discardBytes: found NaN, expected a whole number, at least 0'],
  [{ externalUrls: 'sometimes' }, 'externalUrls: found "sometimes", expected '],
  [{ externalUrls: { allowPrivate: 'x' } }, 'externalUrls.allowPrivate: found "x", expected a list of hosts'],
  [{ userAgent: 'a\nb' }, 'userAgent: found "a\\nb", expected printable ASCII'],
  [{ resolver: 'x' }, 'resolver: found "x", expected '],
  [{ transport: {} }, 'transport: found an object, expected '],
  [{ onEvent: 5 }, 'onEvent: found 5, expected '],
  [{ codecs: { gzip: 'x' } }, 'codecs.gzip: found "x", expected '],
  [{ codecs: { 'a b': () => {} } }, 'codecs["a b"]: found a function, expected the name of an encoding in lower case'],
])('the options %j are INVALID_CONFIG, named', (options, message) => {
  const create = () => createClient(options as ClientOptions);
  expect(create).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
  expect(create).toThrow(message);
});

test('every problem of the options is reported, with its key', () => {
  const attempt = () => createClient({ timeouts: { idle: 0, conect: 5 }, retries: 3 } as unknown as ClientOptions);
  expect(attempt).toThrow(
    expect.objectContaining({
      attempted: 'create a client',
      problems: [
        { key: 'timeouts.idle', found: 'found 0, expected a whole number, 1 to 2147483647' },
        { found: 'unknown option "timeouts.conect", did you mean "timeouts.connect"?' },
        { key: 'retries', found: 'found 3, expected an object of options' },
      ],
    }),
  );
});

test('a first byte after 35 s is waited for if the configuration or the options say so', async () => {
  let respond = (): void => {};
  let arrived = (): void => {};
  const { port } = await httpServer((_request, response) => {
    respond = () => void response.end('{"name":"app","tags":["1"]}');
    arrived();
  });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const after35 = async (options: ClientOptions): Promise<unknown> => {
    const arriving = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const client = createClient({ retries: { tries: 1 }, ...options });
    const listing = client.fetcher(`127.0.0.1:${port}/app`).tags();
    const outcome = listing.then(String, (error: RegistryError) => error.limit);
    await arriving;
    vi.advanceTimersByTime(35_000);
    respond();
    return outcome.finally(() => client.close());
  };
  expect(await after35({})).toBe('timeouts.headers');
  expect(await after35({ timeouts: { headers: 40_000 } })).toBe('1');
  expect(await after35({ config: { timeouts: { headers: 40_000 } } })).toBe('1');
});
