import { expect, test } from 'vitest';
import { memoryRegistry } from '../../src/registry/memory-registry.ts';
import { deleterContract, mountsContract, uploadsContract } from '../contract/abilities.ts';
import { failsWith, samples } from '../contract/source.ts';
import { fill, storeContract } from '../contract/store.ts';

const repository = (name: string) => memoryRegistry()({ registry: 'localhost', name });

storeContract('memory registry', async () => ({ store: repository('a/b') }));
deleterContract('memory registry', async () => ({ store: repository('a/b') }));
mountsContract('memory registry', async () => {
  const registry = memoryRegistry();
  const [from, to] = ['from', 'to'].map((name) => registry({ registry: 'localhost', name }));
  if (!from || !to) throw new Error('no repositories');
  return { store: { from, to } };
});
uploadsContract('memory registry', async () => {
  const registry = memoryRegistry();
  const reopened = () => registry({ registry: 'localhost', name: 'a/b' });
  return { store: { ...reopened(), reopened } };
});

test('a repository exists as long as it has content, and reading one creates none', async () => {
  const registry = memoryRegistry();
  const at = (name: string) => registry({ registry: 'localhost', name });
  await expect(at('z').resolve('latest')).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'no-repository' });
  expect(await registry.repositories()).toEqual([]);
  await fill(at('b'), [samples.large]);
  await fill(at('a/c'), [samples.large]);
  expect(await registry.repositories()).toEqual(['a/c', 'b']);
  await at('b').remove(samples.large.descriptor.digest);
  expect(await registry.repositories()).toEqual(['a/c']);
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(registry.repositories({ signal })).rejects.toEqual(failsWith('ABORTED'));
});
