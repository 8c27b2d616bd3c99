import { expect, test } from 'vitest';
import { apiOrigin, isLoopbackHost, normalizeRegistry, sameRegistry } from '../../src/oci/registry.ts';

test.each([
  ['docker.io', 'https://registry-1.docker.io'],
  ['index.docker.io', 'https://registry-1.docker.io'],
  ['Docker.io:443', 'https://registry-1.docker.io'],
  ['registry-1.docker.io', 'https://registry-1.docker.io'],
  ['ghcr.io', 'https://ghcr.io'],
  ['GHCR.io:443', 'https://ghcr.io'],
  ['example.com:80', 'https://example.com:80'],
  ['localhost:5000', 'http://localhost:5000'],
  ['LOCALHOST', 'http://localhost'],
  ['a.localhost', 'http://a.localhost'],
  ['127.0.0.1:5000', 'http://127.0.0.1:5000'],
  ['[::1]:5000', 'http://[::1]:5000'],
  ['10.0.0.1', 'https://10.0.0.1'],
])('%s answers at %s', (registry, origin) => {
  expect(apiOrigin(registry)).toBe(origin);
});

test.each(['localhost', 'LocalHost:80', 'a.localhost', '127.0.0.1', '127.9.9.9:1', '127.1', '[::1]', '[0:0::1]:5000'])(
  '%s is this machine',
  (host) => {
    expect(isLoopbackHost(host)).toBe(true);
  },
);

test.each(['localhost.com', 'mylocalhost', '128.0.0.1', '127.0.0.1.nip.io', '[::2]', '10.0.0.1', 'docker.io', '', '['])(
  '%s is not this machine',
  (host) => {
    expect(isLoopbackHost(host)).toBe(false);
  },
);

test.each([
  ['docker.io', 'index.docker.io', true],
  ['docker.io', 'registry-1.docker.io:443', true],
  ['GHCR.io', 'ghcr.io', true],
  ['a.io', 'a.io:443', true],
  ['a.io', 'a.io:80', true],
  ['a.io:80', 'a.io:443', false],
  ['a.io', 'a.io:5000', false],
  ['a.io', 'b.io', false],
  ['[::1]', '[::1]:80', true],
])('%s and %s are one registry: %s', (a, b, same) => {
  expect(sameRegistry(a, b)).toBe(same);
  expect(sameRegistry(b, a)).toBe(same);
});

test('a registry has one spelling, and keeps its port', () => {
  expect(['Index.Docker.io', 'registry-1.docker.io', 'A.io:443', 'localhost:5000'].map(normalizeRegistry)).toEqual([
    'docker.io',
    'docker.io',
    'a.io:443',
    'localhost:5000',
  ]);
});
