import { expect, test } from 'vitest';
import { cached } from '../../src/registry/cached-registry.ts';
import { memoryRegistry } from '../../src/registry/memory-registry.ts';
import { only, under } from '../../src/registry/names.ts';
import { union } from '../../src/registry/union.ts';
import { serve } from '../../src/server/registry/serve.ts';
import { isCatalog, isNamespaced, type Registry, type Source } from '../../src/source.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { registryContract } from '../contract/registry.ts';
import { samples } from '../contract/source.ts';
import { fill } from '../contract/store.ts';
import { ask, problemOf } from '../server/support.ts';

registryContract('under', () => under(memoryRegistry(), 'some/team'));
registryContract('only', () => only(memoryRegistry(), ['a/b', 'from', 'to', 'b', 'a/c', 'b-2']));

const { large, wide } = samples;

/** A registry in memory in which each of these repositories has a blob. */
async function filled(...names: readonly string[]) {
  const registry = memoryRegistry();
  for (const name of names) await fill(registry({ registry: 'localhost', name }), [large]);
  return registry;
}

test('under puts a prefix before the name, and nothing else', () => {
  const seen: unknown[] = [];
  const source: Source = { resolve: () => Promise.reject(), fetch: () => Promise.reject() };
  const registry: Registry = (repository) => {
    seen.push(repository);
    return source;
  };
  expect(under(registry, 'mirror/hub')({ registry: 'registry.test', name: 'library/app' })).toBe(source);
  expect(seen).toEqual([{ registry: 'registry.test', name: 'mirror/hub/library/app' }]);
  expect(isCatalog(under(registry, 'hub'))).toBe(false);
});

test('under lists what is below the prefix, without it; a prefix is whole components', async () => {
  const registry = await filled('a', 'a/b/c', 'a/d', 'x/p', 'aa/b', 'a-b/c');
  const listed = under(registry, 'a');
  expect(isCatalog(listed) && (await listed.repositories())).toEqual(['b/c', 'd']);
  const nested = under(listed, 'b');
  expect(isCatalog(nested) && (await nested.repositories())).toEqual(['c']);
});

test('a prefix that is not a repository name is refused', () => {
  for (const prefix of ['', '/', 'a/', '/a', 'A', '..', 'a//b'])
    expect(() => under(memoryRegistry(), prefix)).toThrow(expect.objectContaining({ code: 'INVALID_REFERENCE' }));
});

test('a repository that only leaves out does not exist, cannot be created, and is not listed', async () => {
  const registry = await filled('open/a', 'secret/a');
  await fill(registry({ registry: 'localhost', name: 'secret/a' }), [wide]);
  const { digest } = large.descriptor;
  for (const allowed of [['open/a'], ({ name }: { name: string }) => name.startsWith('open/')]) {
    const handler = serve(only(registry, allowed));
    const status = async (line: string) => {
      const response = await handler(ask(line));
      return response.status < 400 ? response.status : problemOf(response);
    };
    expect(await status(`GET /v2/open/a/blobs/${digest}`)).toBe(200);
    for (const line of [
      `GET /v2/secret/a/blobs/${digest}`,
      'GET /v2/secret/a/manifests/latest',
      'GET /v2/secret/a/tags/list',
    ])
      expect(await status(line)).toBe('404 NAME_UNKNOWN');
    for (const line of [`DELETE /v2/secret/a/blobs/${digest}`, 'DELETE /v2/secret/a/manifests/latest'])
      expect(await status(line)).toBe('404 NAME_UNKNOWN');
    for (const line of [
      'POST /v2/secret/a/blobs/uploads/',
      `POST /v2/secret/a/blobs/uploads/?mount=${digest}&from=open/a`,
    ])
      expect(await status(line)).toBe('403 DENIED');
    // Nothing leaks by a mount.
    expect(await status(`POST /v2/open/a/blobs/uploads/?mount=${wide.descriptor.digest}&from=secret/a`)).toBe(202);
    expect(await (await handler(ask('GET /v2/_catalog'))).json()).toEqual({ repositories: ['open/a'] });
  }
});

test('the repository is named in the error', async () => {
  const secret = only(memoryRegistry(), [])({ registry: 'registry.test', name: 'secret/app' });
  for (const call of [secret.resolve('latest'), secret.fetch(large.descriptor)]) {
    const message = expect.stringContaining('"registry.test/secret/app"');
    await expect(call).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'no-repository', message });
  }
});

test('a registry of several registries stays one', () => {
  const several = Object.assign(() => memoryStore(), { hasNamespaces: true as const });
  const plain = () => memoryStore();
  for (const made of [only(several, ['app']), under(several, 'team'), union(plain, several), cached(several, plain)]) {
    expect(isNamespaced(made)).toBe(true);
  }
  expect([only(plain, ['app']), union(plain, plain)].map(isNamespaced)).toEqual([false, false]);
});
