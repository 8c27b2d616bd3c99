import { createHash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createClient, type Digest } from 'ocifetch';
import { expect, test } from 'vitest';
import { samples } from '../contract/source.ts';
import { errorOf } from '../support/hosts.ts';
import { httpServer } from '../support/http.ts';

/* Promises of SECURITY.md that no other file holds. */

test('a host that is configured with https is never contacted without it', async () => {
  let requests = 0;
  const { url } = await httpServer((_request, response) => {
    requests += 1;
    response.end('{}');
  });
  const mirrors = [{ url: url.replace('http:', 'https:') }];
  await using client = createClient({
    config: { registries: { 'origin.test': { mirrors, origin: 'never' } } },
    retries: { tries: 2, backoff: 1 },
  });
  const fetcher = client.fetcher('origin.test/app');
  const content = await fetcher.fetch(samples.large.descriptor);
  expect((await errorOf(content.bytes())).code).toBe('UNAVAILABLE');
  expect((await errorOf(fetcher.resolve('latest'))).code).toBe('UNAVAILABLE');
  expect(requests).toBe(0);
});

test('memory does not grow with the size of content', async () => {
  const block = Buffer.alloc(262_144, 'ocifetch ');
  const blocks = 512;
  const hash = createHash('sha256');
  for (let index = 0; index < blocks; index++) hash.update(block);
  const digest: Digest = `sha256:${hash.digest('hex')}`;
  const { url } = await httpServer((_request, response) => {
    let sent = 0;
    response.writeHead(200, { 'content-length': blocks * block.length });
    const more = (): void => {
      while (sent < blocks) {
        sent += 1;
        if (!response.write(block)) return void response.once('drain', more);
      }
      response.end();
    };
    more();
  });
  await using client = createClient();
  const descriptor = { mediaType: 'application/octet-stream', digest, size: blocks * block.length };
  const content = await client.fetcher(`${new URL(url).host}/app`).fetch(descriptor);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const held = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = held();
  let most = 0;
  let next = 0;
  for await (const _chunk of content) {
    if (content.position < next) continue;
    most = Math.max(most, held() - before);
    next += 16 * 1_048_576;
  }
  expect(content.verified).toBe(true);
  // Of 128 MiB.
  expect(most).toBeLessThan(32 * 1_048_576);
});
