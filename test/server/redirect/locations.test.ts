import { expect, test } from 'vitest';
import { bucketLocations } from '../../../src/server/redirect/locations.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import { memoryStore } from '../../../src/store/memory.ts';
import { samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { failsWith, recording } from '../../support/http.ts';

test('a registry redirects a blob to the bucket for the client, and sends it itself if it is not there', async () => {
  const store = memoryStore();
  await fill(store);
  const { transport } = recording(({ url }) => ({ status: url.includes('paris') ? 200 : 404 }));
  const locate = bucketLocations({
    buckets: [{ url: 'https://bucket.example' }, { url: 'https://paris.example', cloud: 'AWS' }],
    ranges: [{ prefix: '35.180.0.0/16', cloud: 'AWS', region: 'eu-west-3' }],
    client: { proxies: ['10.0.0.0/8'] },
    transport,
  });
  const handler = serve(() => store, { locate });
  const { digest } = samples.large.descriptor;
  const ask = async (remoteAddress?: string, forwarded = '') => {
    const headers = { 'x-forwarded-for': forwarded };
    const request = new Request(`http://registry.test/v2/app/blobs/${digest}`, { headers });
    const response = await handler(request, { remoteAddress });
    await response.body?.cancel();
    return [response.status, response.headers.get('location')];
  };
  const paris = [307, `https://paris.example/containers/images/${digest}`];
  expect(await ask('35.180.0.1')).toEqual(paris);
  expect(await ask('10.0.0.1', '35.180.0.1')).toEqual(paris);
  expect(await ask('203.0.113.1')).toEqual([200, null]);
  expect(await ask()).toEqual([200, null]);
});

test('wrong options are refused, and an upstream is none of them', () => {
  expect(() => bucketLocations({ buckets: [{ url: 'bucket.example' }] })).toThrow(failsWith('INVALID_CONFIG'));
  expect(() => bucketLocations({ upstream: 'https://a.example' } as never)).toThrow('unknown key "upstream"');
});
