import { serve } from 'ocifetch/server';
import { expect, test } from 'vitest';
import { messageOf } from '../../src/errors.ts';
import { createClient } from '../../src/remote/client.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { rawServer } from '../support/http.ts';

// What one text from outside costs on its whole way, with all that formats it, in time in which nothing else can run.

/** Milliseconds: a hundredth of what a quadratic reader of such a text takes, and ten times of what a linear one does. */
const mostDelay = 1_000;

/**
 * The longest turn of the event loop during some work, in milliseconds of this process, which other processes do not change
 * as they do wall time.
 */
async function longestTurn(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let before = process.cpuUsage();
  const measure = (): void => {
    const { user, system } = process.cpuUsage(before);
    longest = Math.max(longest, (user + system) / 1000);
    before = process.cpuUsage();
  };
  let isOver = false;
  const ticking = (async () => {
    while (!isOver) {
      await new Promise((resolve) => setImmediate(resolve));
      measure();
    }
  })();
  // The message, too: it is made of what was found.
  await work().catch((error: unknown) => [messageOf(error), String(error), JSON.stringify(error)]);
  measure();
  isOver = true;
  await ticking;
  return longest;
}

test('a turn that takes long is seen', async () => {
  const turn = await longestTurn(async () => {
    const { user } = process.cpuUsage();
    while (process.cpuUsage().user < user + 50_000);
  });
  expect(turn).toBeGreaterThan(40);
});

const units = ['://a@', '<', '"', '\\', ', ', ' \t'];
const repeated = (unit: string, length: number): string => unit.repeat(length / unit.length);
const descriptor = { mediaType: 'a/b', digest: `sha256:${'0'.repeat(64)}`, size: 5 };
const type = 'application/vnd.oci.image.manifest.v1+json';

/** Manifests with a text in a field of each kind. */
function* documents(text: string): Generator<[field: string, document: object]> {
  const image = { schemaVersion: 2, mediaType: type, config: descriptor, layers: [descriptor] };
  yield ['annotation', { ...image, annotations: { a: text } }];
  yield ['mediaType', { ...image, mediaType: text }];
  yield ['digest', { ...image, config: { ...descriptor, digest: text } }];
}

/** A server that gives this response to everything. */
const replying = (status: string, fields: string, body: string) =>
  rawServer((socket) => {
    const head = `HTTP/1.1 ${status}\r\n${fields}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
    socket.on('data', (request: Buffer) => {
      socket.write(head, 'latin1');
      if (!request.toString('latin1', 0, 5).startsWith('HEAD ')) socket.write(body);
    });
  });

test.each(units)('a manifest with 1 MiB of %j in a field does not hold the event loop', async (unit) => {
  for (const [field, document] of documents(repeated(unit, 1_048_576))) {
    const body = JSON.stringify(document);
    const { port } = await replying('200 OK', `Content-Type: ${type}\r\n`, body);
    await using client = createClient({ retries: { tries: 1 } });
    const repository = `127.0.0.1:${port}/a`;
    let read = 0;
    const turn = await longestTurn(async () => {
      const resolved = await client.resolve(`${repository}:latest`);
      const content = await client.fetcher(repository).fetch(resolved.descriptor);
      read = (await content.bytes()).length;
    });
    // Commas are counted as values are.
    if (field === 'annotation' && !unit.includes(',')) expect(read).toBe(Buffer.byteLength(body));
    expect(turn, field).toBeLessThan(mostDelay);
  }
});

const heads: readonly (readonly [status: string, field: string, before: string])[] = [
  ['200 OK', 'Content-Type', ''],
  ['200 OK', 'Content-Type', 'text/a; a="'],
  ['200 OK', 'Docker-Content-Digest', ''],
  ['200 OK', 'Warning', '299 - "'],
  ['200 OK', 'Link', '<'],
  ['307 No', 'Location', '/'],
  ['307 No', 'Location', 'http://'],
  ['401 No', 'WWW-Authenticate', 'Bearer realm="'],
  ['401 No', 'WWW-Authenticate', ''],
  ['429 No', 'Retry-After', ''],
  ['404 No', 'X-Other', ''],
];

test.each(heads)(
  '60 KB of anything in a head (%s, %s: %s…) do not hold the event loop',
  async (status, name, before) => {
    for (const unit of units) {
      const value = Buffer.from(before + repeated(unit, 60_000))
        .toString('latin1')
        .slice(0, 60_000)
        .trim();
      const { port } = await replying(status, `${name}: ${value}\r\n`, '{}');
      await using client = createClient({ retries: { tries: 1 } });
      const repository = `127.0.0.1:${port}/a`;
      const turn = await longestTurn(async () => {
        await client.resolve(`${repository}:latest`).catch(messageOf);
        await client.fetcher(repository).tags();
      });
      expect(turn, unit).toBeLessThan(mostDelay);
    }
  },
);

test.each(units)('a PUT of 1 MiB of %j does not hold the event loop of a server', async (unit) => {
  const handler = serve(() => memoryStore());
  for (const [field, document] of documents(repeated(unit, 1_048_576))) {
    const put = (body: string, mediaType: string) =>
      handler(
        new Request('http://a.example/v2/a/manifests/latest', {
          method: 'PUT',
          body,
          headers: { 'content-type': mediaType },
        }),
      );
    const body = JSON.stringify(document);
    const turn = await longestTurn(async () => {
      await (await put(body, type)).text();
      await (await put(repeated(unit, 1_048_576), 'application/json')).text();
    });
    expect(turn, field).toBeLessThan(mostDelay);
  }
});
