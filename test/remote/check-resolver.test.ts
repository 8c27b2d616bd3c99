import { expect, test } from 'vitest';
import { RegistryError } from '../../src/errors.ts';
import { checkResolver } from '../../src/remote/check-resolver.ts';
import { createClient } from '../../src/remote/client.ts';
import type { Resolver } from '../../src/remote/plan.ts';
import { samples } from '../contract/source.ts';
import { createHosts, errorOf, sampleHost } from '../support/hosts.ts';

const good = { url: 'https://own.test/v2', repository: 'x/y', scopes: [], capabilities: ['pull'] };
const repository = { registry: 'a.test', name: 'b' };
const over = (given: unknown) => () => checkResolver((() => given) as unknown as Resolver)(repository);

test.each<[given: unknown, message: string]>([
  [undefined, 'found undefined, expected a list of endpoints'],
  [{}, 'found an object, expected a list of endpoints'],
  [['https://own.test'], '[0]: found "https://own.test", expected an endpoint'],
  [[good, null], '[1]: found null, expected an endpoint, an object'],
  [[{ ...good, url: undefined }], '[0].url: found undefined, expected a string'],
  [[{ ...good, url: 'own.test/v2' }], '[0].url: found "own.test/v2", expected an absolute http or https URL'],
  [[{ ...good, url: 'ftp://own.test' }], 'expected an absolute http or https URL'],
  [[{ ...good, url: '/v2' }], 'expected an absolute http or https URL'],
  [[{ ...good, url: 'https://joe:secret@own.test/v2' }], 'without user name and password'],
  [[{ ...good, url: 'https://own.test/v2?x=1' }], 'without query and fragment'],
  [[{ ...good, url: 'https://own.test/v2#x' }], 'without query and fragment'],
  [[{ ...good, repository: '../x' }], '[0].repository: found "../x"'],
  [[{ ...good, repository: '' }], 'no repository name'],
  [[{ ...good, repository: 'X' }], 'upper-case'],
  [[{ ...good, scopes: 'repository:x:pull' }], '[0].scopes: found "repository:x:pull", expected a list'],
  [[{ ...good, scopes: [5] }], '[0].scopes[0]: found 5'],
  [[{ ...good, capabilities: 'pull' }], '[0].capabilities: found "pull", expected a list'],
  [[{ ...good, capabilities: ['push'] }], '[0].capabilities[0]: found "push"'],
  [[{ url: good.url, repository: 'x' }], '[0].scopes: found undefined'],
  [[{ ...good, namespace: 5 }], '[0].namespace: found 5'],
  [[{ ...good, headers: { authorization: ['secret'] } }], '[0].headers: found an object'],
  [[{ ...good, headers: { 'X-Key': 'secret', 'x-key': 'secret' } }], '"X-Key" and "x-key" are one header'],
  [[{ ...good, tls: ['secret'] }], '[0].tls: found a list, expected an object'],
  [[{ ...good, connectTimeout: 0 }], '[0].connectTimeout: found 0'],
])('a resolver that gives %j is INVALID_CONFIG, named', (given, message) => {
  expect(over(given)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
  expect(over(given)).toThrow('Cannot use the resolver for "a.test/b": ');
  expect(over(given)).toThrow(message);
  expect(over(given)).not.toThrow('secret');
});

test('every problem is reported, with its key', async () => {
  const error = await errorOf((async () => over([{ ...good, url: 5, tls: 1 }, 5])())());
  expect(error.problems).toEqual([
    { key: '[0].url', found: 'found 5, expected a string' },
    { key: '[0].tls', found: 'found 1, expected an object' },
    { key: '[1]', found: 'found 5, expected an endpoint, an object' },
  ]);
});

test('a promise is refused, and its rejection is handled', async () => {
  const failing = Promise.reject(new Error('handled'));
  for (const given of [Promise.resolve([good]), failing]) expect(over(given)).toThrow('resolvers are synchronous');
  await new Promise((resolve) => setImmediate(resolve));
});

test('an error of a resolver is the cause of INVALID_CONFIG; a RegistryError is thrown as it is', () => {
  const cause = new TypeError('it has a bug');
  const throwing = (thrown: unknown) => () =>
    checkResolver(() => {
      throw thrown;
    })(repository);
  expect(throwing(cause)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG', cause }));
  expect(throwing(cause)).toThrow('it has a bug');
  const own = new RegistryError('DENIED', 'not here');
  expect(throwing(own)).toThrow(own);
});

test('slashes at the end are removed; a resolver may return no endpoint', async () => {
  const hosts = createHosts({ 'own.test': await sampleHost() });
  const resolver: Resolver = () => [{ ...good, url: 'https://own.test/v2//', capabilities: ['pull'] }];
  const client = createClient({ transport: hosts.transport, resolver });
  expect(client.plan('a.test/b').endpoints).toEqual([good]);
  await (await client.fetcher('a.test/b').fetch(samples.large.descriptor)).bytes();
  expect(hosts.log()).toEqual([`GET https://own.test/v2/x/y/blobs/${samples.large.descriptor.digest}`]);
  const none = createClient({ transport: hosts.transport, resolver: () => [] });
  const error = await errorOf(none.resolve('a.test/b'));
  expect([error.code, error.message]).toEqual(['NO_HOSTS', 'Cannot resolve "a.test/b": no host is configured']);
});

test('a client refuses a wrong result of its resolver in every operation', async () => {
  const resolver = (() => [{ ...good, url: 'own.test' }]) as unknown as Resolver;
  const client = createClient({ transport: createHosts({}).transport, resolver });
  const invalid = expect.objectContaining({ code: 'INVALID_CONFIG' });
  expect(() => client.plan('a.test/b')).toThrow(invalid);
  expect(() => client.fetcher('a.test/b')).toThrow(invalid);
  await expect(client.resolve('a.test/b')).rejects.toEqual(invalid);
});
