import { expect, test } from 'vitest';
import { type Endpoint, printable, redactUrl } from '../src/endpoint.ts';

test.each([
  ['https://a.test/v2/x?ns=docker.io', 'https://a.test/v2/x?ns=docker.io'],
  [
    'https://joe:secret@a.test/x?token=secret&X-Amz-Signature=secret#secret',
    'https://a.test/x?token=***&X-Amz-Signature=***',
  ],
  ['https://a.test/?secret', 'https://a.test/?***'],
  ['https://a.test/?secret=&a%1bb=c&ns=docker.io', 'https://a.test/?***&***&ns=docker.io'],
  ['http://[::1]:5000/v2/', 'http://[::1]:5000/v2/'],
] as const)('%s is printed without its secrets', (url, expected) => {
  expect(redactUrl(url)).toBe(expected);
});

test('what is no URL is not printed at all', () => {
  expect(redactUrl('no url ?password=secret')).toBe('(not a URL)');
});

test('an endpoint is printed without header values, keys and certificates, and all else of it', () => {
  const endpoint: Endpoint = {
    url: 'https://a.test/v2',
    repository: 'app',
    scopes: ['repository:app:pull'],
    capabilities: ['pull'],
    namespace: 'docker.io',
    headers: { authorization: 'secret', 'x-key': 'secret' },
    rewrite: { pattern: '^', replacement: 'x/', from: 'app' },
    tls: { ca: ['secret'], cert: 'secret', key: 'secret', insecureSkipVerify: true },
    connectTimeout: 5,
    credentials: 'credentials["a.test"]',
  };
  expect(JSON.stringify(printable(endpoint))).not.toContain('secret');
  expect(printable(endpoint)).toEqual({
    ...endpoint,
    headers: { authorization: '***', 'x-key': '***' },
    tls: { ca: ['***'], cert: '***', key: '***', insecureSkipVerify: true },
  });
});
