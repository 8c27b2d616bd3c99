import { expect, test } from 'vitest';
import type { Config } from '../../src/index.ts';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';

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

test.each<[options: object, told: string | RegExp]>([
  [{ network: { family: 5 } }, 'network.family'],
  [{ network: { family: '4' } }, 'network.family'],
  [{ network: { dispatcher: {} } }, 'not a dispatcher of undici'],
  [{ network: { dispatch: dispatcher } }, 'unknown option "network.dispatch", did you mean "network.dispatcher"?'],
  [{ confg: {} }, 'unknown option "confg", did you mean "config"?'],
  [{ limits: { concurency: 3 } }, 'unknown option "limits.concurency", did you mean "limits.concurrency"?'],
  [{ externalUrls: { allowprivate: [] } }, /^Cannot create a client: /],
  [{ mirrors: [] }, /unknown option "mirrors"$/],
  [{ network: { family: 4, dispatcher } }, 'family and dispatcher at once'],
  [{ network: { family: 4 }, transport: () => {} }, '"network" is given beside "transport"'],
])('%j is INVALID_CONFIG', (options, told) => {
  expect(() => createClient(options)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
  expect(() => createClient(options)).toThrow(told);
});
