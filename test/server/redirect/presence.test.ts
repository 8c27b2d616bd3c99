import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { createPresence } from '../../../src/server/redirect/presence.ts';
import { deadPort, httpServer, recording } from '../../support/http.ts';

/** A bucket, and the requests that it got. */
async function bucketOf(respond: (request: IncomingMessage, response: ServerResponse) => void) {
  const log: string[] = [];
  const { url } = await httpServer((request, response) => {
    log.push(`${request.method} ${request.url}`);
    respond(request, response);
  });
  return { url, log };
}

test('only 200 counts, is remembered, and is asked for by HEAD', async () => {
  const { url, log } = await bucketOf((request, response) => {
    response.writeHead(Number(request.url?.slice(1))).end();
  });
  const isPresent = createPresence({});
  const statuses = [200, 201, 203, 204, 206, 304, 400, 401, 403, 404, 429, 500, 503];
  const found: number[] = [];
  for (const status of [...statuses, ...statuses]) if (await isPresent(`${url}/${status}`)) found.push(status);
  expect(found).toEqual([200, 200]);
  expect(log).toEqual([...statuses, ...statuses.slice(1)].map((status) => `HEAD /${status}`));
});

test('redirects are followed, and the last response counts', async () => {
  const other = await bucketOf((request, response) => {
    response.writeHead(request.url === '/here' ? 200 : 404).end();
  });
  const { url, log } = await bucketOf((request, response) => {
    const loop = request.url === '/loop' ? '/loop' : undefined;
    response.writeHead(302, { location: loop ?? `${other.url}${request.url}` }).end();
  });
  const isPresent = createPresence({});
  expect(await Promise.all(['/here', '/gone', '/loop'].map((path) => isPresent(url + path)))).toEqual([
    true,
    false,
    false,
  ]);
  expect(log.filter((line) => line.endsWith('/here'))).toHaveLength(1);
  expect(other.log.every((line) => line.startsWith('HEAD '))).toBe(true);
});

test('a bucket that cannot be reached, or does not respond in time, has nothing', async () => {
  const { url } = await bucketOf(() => {});
  const isPresent = createPresence({ checkTimeout: 50 });
  expect(await isPresent(`http://127.0.0.1:${await deadPort()}/x`)).toBe(false);
  expect(await isPresent(`${url}/never`)).toBe(false);
});

test('a bucket on the internet cannot send the check into a private network', async () => {
  const { transport, log } = recording(() => ({
    status: 302,
    headers: { location: 'http://169.254.169.254/latest/meta-data' },
    address: '93.184.216.34',
  }));
  expect(await createPresence({ transport })('https://bucket.example/x')).toBe(false);
  expect(log).toEqual(['HEAD https://bucket.example/x']);
});

test('concurrent checks of one URL are one request, and their absence is not remembered', async () => {
  const waiting: ServerResponse[] = [];
  const { url, log } = await bucketOf((_request, response) => void waiting.push(response));
  const isPresent = createPresence({});
  const both = Promise.all([isPresent(`${url}/a`), isPresent(`${url}/a`), isPresent(`${url}/b`)]);
  await expect.poll(() => waiting.length).toBe(2);
  for (const response of waiting.splice(0)) response.writeHead(404).end();
  expect(await both).toEqual([false, false, false]);
  const again = isPresent(`${url}/a`);
  await expect.poll(() => waiting.length).toBe(1);
  waiting[0]?.writeHead(200).end();
  expect(await again).toBe(true);
  expect(log).toHaveLength(3);
});

test('of a million blobs, the most recent are remembered', async () => {
  const { transport, log } = recording(() => ({}));
  const isPresent = createPresence({ transport, remembered: 3 });
  for (const path of ['a', 'b', 'c', 'a', 'd', 'a', 'b']) await isPresent(`https://bucket.example/${path}`);
  expect(log.map((line) => line.slice(-1)).join('')).toBe('abcdb');
});
