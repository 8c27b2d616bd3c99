import { expect, test } from 'vitest';
import { z } from 'zod';
import { configJsonSchema } from '../../src/config/json-schema.ts';

const schema = configJsonSchema();
const validator = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
const isValid = (value: unknown): boolean => validator.safeParse(value).success;

/** Every key that the schema names, with its own schema. */
function keysOf(node: unknown): [string, Record<string, unknown>][] {
  if (typeof node !== 'object' || node === null) return [];
  const properties = Object.entries(
    (node as { properties?: Record<string, Record<string, unknown>> }).properties ?? {},
  );
  return [...properties, ...Object.values(node).flatMap(keysOf)];
}

const full = {
  $schema: './ocifetch.schema.json',
  registries: {
    'docker.io': {
      mirrors: [
        {
          url: 'https://m.example/prefix',
          overridePath: true,
          capabilities: ['pull', 'resolve', 'referrers'],
          rewrites: [{ pattern: '^library/(.*)', replacement: 'hub/$1' }],
          omitNamespace: true,
          headers: { 'X-Key': 'v' },
          tls: { ca: ['ca.pem'], cert: 'c', key: 'k', insecureSkipVerify: false },
          allowPrivate: ['.corp'],
          connectTimeout: 500,
          requestsPerSecond: 2.5,
          concurrency: 4,
        },
      ],
      origin: 'never',
    },
    'a.b': { origin: { url: 'https://a.b' }, blocked: true },
    '*': { origin: { tls: { ca: ['ca.pem'] } } },
  },
  credentials: { 'ghcr.io': { username: 'u', password: 'p' }, 'x.y/team': { identityToken: 't' } },
  proxy: { http: 'http://p', https: 'http://p', all: 'http://p', no: ['.x.y'] },
  allowPrivate: ['10.0.0.0/8'],
  shortNames: { aliases: { fedora: 'registry.fedoraproject.org/fedora' }, search: ['docker.io'] },
  timeouts: {
    connect: 1,
    headers: 2,
    idle: 3,
    minimumSpeed: 0,
    hedge: 0,
    crawl: 0,
    operation: 4,
    retryAfter: 0,
    unread: 5,
    pause: 0,
  },
  retries: { tries: 1, backoff: 0 },
  limits: {
    manifestBytes: 1,
    tokenBytes: 1,
    redirects: 0,
    pages: 1,
    concurrency: 1,
    discardBytes: 0,
    listBytes: 1,
    imageEntries: 1,
    imageTreeBytes: 1,
    split: 'never',
  },
};

test('it is draft 2020-12, and can be written as JSON', () => {
  expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema');
  expect(JSON.parse(JSON.stringify(schema))).toEqual(schema);
});

test('a file that uses every key is valid by it, and names every key that it has', () => {
  expect(isValid(full)).toBe(true);
  expect(isValid({})).toBe(true);
  const text = JSON.stringify(full);
  const filledIn = ['declaredAt', 'warnings', 'registryToken'];
  const missing = keysOf(schema)
    .map(([key]) => key)
    .filter((key) => !filledIn.includes(key) && !text.includes(`"${key}"`));
  expect(missing).toEqual([]);
});

test('every key has a description', () => {
  const bare = keysOf(schema).filter(([, { description }]) => typeof description !== 'string' || description === '');
  expect(bare.map(([key]) => key)).toEqual([]);
});

test.each([
  [{ registry: {} }],
  [{ registries: { 'a.b': { mirrors: [{}] } } }],
  [{ registries: { 'a.b': { mirrors: [{ url: 'https://m', capability: [] }] } } }],
  [{ registries: { 'a.b': { origin: 'always' } } }],
  [{ registries: { 'a.b': { mirrors: [{ url: 'https://m', concurrency: 1.5 }] } } }],
  [{ credentials: 'x' }],
  [{ credentials: { 'a.b': { user: 'u' } } }],
  [{ proxy: 'http://p' }],
  [[]],
])('%j is not valid by it', (value) => {
  expect(isValid(value)).toBe(false);
});
