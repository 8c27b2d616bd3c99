import { expect, test } from 'vitest';
import { memoryRegistry, serve } from '../../../src/server/index.ts';
import { serverMetrics } from '../../../src/server/metrics/index.ts';
import { samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';

async function served(options: Parameters<typeof serverMetrics>[0] = {}) {
  const registry = memoryRegistry();
  await fill(registry({ registry: 'localhost', name: 'a/b' }), [samples.config, samples.large, samples.manifest]);
  const metrics = serverMetrics({ hasRuntime: false, ...options });
  const handler = serve(registry, { onEvent: metrics.observe });
  const ask = async (line: string): Promise<void> => {
    const [method = '', path] = line.split(' ');
    await (await handler(new Request(`http://registry.test${path}`, { method }))).arrayBuffer();
  };
  const text = async (): Promise<string> => (await metrics.handler(new Request('http://registry.test/metrics'))).text();
  return { ask, text, metrics };
}

test('responses are counted by method, action and status, with their bytes and duration', async () => {
  const { ask, text, metrics } = await served();
  for (let time = 0; time < 3; time += 1) await ask(`GET /v2/a/b/blobs/${samples.large.descriptor.digest}`);
  await ask('HEAD /v2/a/b/manifests/missing');
  await ask('BREW /v2/a/b/manifests/latest');
  const found = await text();
  expect(found).toContain('registry_http_requests_total{method="GET",action="pull",code="200"} 3');
  expect(found).toMatch(/registry_http_requests_total\{method="HEAD",action="\w+",code="404"\} 1/);
  expect(found).toMatch(/registry_http_requests_total\{method="other",/);
  expect(found).toContain(`registry_http_response_bytes_total{action="pull"} ${3 * samples.large.bytes.length}`);
  expect(found).toContain('registry_http_request_duration_seconds_count{action="pull"} 3');
  const { headers } = await metrics.handler(new Request('http://registry.test/metrics'));
  expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
});

test('any number of repositories and tags makes no more series', async () => {
  const { ask, text } = await served();
  await ask('GET /v2/one/manifests/a');
  const before = (await text()).split('\n').length;
  for (let index = 0; index < 50; index += 1) await ask(`GET /v2/team-${index}/manifests/tag-${index}`);
  expect((await text()).split('\n').length).toBe(before);
  expect(await text()).not.toContain('team-1');
});

test('notifications are counted by endpoint, as they are when somebody looks', async () => {
  let pending = 3;
  const notifications = () => [
    { name: 'audit', pending, events: 9, successes: 6, failures: 2, errors: 1, statuses: { '202 Accepted': 6 } },
  ];
  const { text } = await served({ notifications, prefix: 'my_' });
  expect(await text()).toContain('my_notifications_pending{endpoint="audit"} 3');
  pending = 0;
  expect(await text()).toContain('my_notifications_pending{endpoint="audit"} 0');
  expect(await text()).toContain('my_notifications_successes_total{endpoint="audit"} 6');
});
