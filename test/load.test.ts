import { expect, test } from 'vitest';
import { load } from '../src/load.ts';
import { createClient } from '../src/remote/client.ts';
import { failsWith, samples } from './contract/source.ts';
import { createHosts, errorOf } from './support/hosts.ts';

const missing = 'ocifetch-has-no-such-dependency';

test('a dependency that cannot be loaded is named, with the setting for a bundle', async () => {
  const error = await errorOf(load(['one', 'other'], () => import(missing)));
  expect(error).toMatchObject({ code: 'UNSUPPORTED', reason: 'bundle', attempted: 'load one or other' });
  expect(error.message).toContain(missing);
  expect(error.message).toContain(`leave it out ("external: ['one', 'other']") and install it beside the bundle`);
});

test('what is there is loaded, and nothing becomes global outside of bundles', async () => {
  expect(await load(['nothing'], async () => 5)).toBe(5);
  expect('require' in globalThis).toBe(false);
});

test.each(['at once', 'in the middle'])(
  'a decoder that cannot be loaded, %s, is not the failure of the host',
  async (when) => {
    const { bytes, descriptor } = samples.large;
    const hosts = createHosts({
      'registry.test': () => new Response(new Uint8Array(bytes), { headers: { 'content-encoding': 'broken' } }),
    });
    const client = createClient({
      transport: hosts.transport,
      codecs: {
        broken: async function* (encoded) {
          for await (const chunk of encoded) {
            if (when === 'in the middle') yield chunk.subarray(1);
            await load(['decoder'], () => import(missing));
          }
        },
      },
    });
    const content = await client.fetcher('registry.test/app').fetch(descriptor);
    const error = await errorOf(content.bytes());
    expect(error).toEqual(failsWith('UNSUPPORTED'));
    expect(error.reason).toBe('bundle');
    expect(error.message).toContain("external: ['decoder']");
    await client.close();
  },
);
