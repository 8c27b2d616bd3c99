import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { recyclerOf } from '../../../src/body.ts';
import { socketTransport } from '../../../src/http/socket/socket-transport.ts';
import type { Body } from '../../../src/source.ts';
import { certificate } from '../../server/certificate.ts';
import { atEnd, bytesOf, httpServer, httpsServer, rawServer, rawTlsServer } from '../../support/http.ts';

const noise = randomBytes(3_000_000);

function connected() {
  const transport = socketTransport();
  atEnd(() => transport.close());
  return async (url: string, ca?: string): Promise<Body> => {
    const { body } = await transport({ method: 'GET', url, ...(ca !== undefined && { tls: { ca: [ca] } }) });
    return body;
  };
}

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** How one body is sent and read. */
interface Exchange {
  readonly start: number;
  readonly size: number;
  readonly isChunked: boolean;
  /** Sizes of what the server writes at a time, over and over. */
  readonly writes: readonly number[];
  /** Whether the server waits after each of them. */
  readonly isSlow: boolean;
  /** Chunks after which the reader waits. */
  readonly rests: number;
  readonly recycles: boolean;
  /** Chunks after which the reader leaves. */
  readonly leaves: number;
}

const exchanges: fc.Arbitrary<Exchange[]> = fc.array(
  fc.record({
    start: fc.nat(1_000_000),
    size: fc.oneof(fc.nat(2_000), fc.nat(1_000_000)),
    isChunked: fc.boolean(),
    writes: fc.array(fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 3_000, max: 900_000 })), {
      minLength: 1,
      maxLength: 4,
    }),
    isSlow: fc.boolean(),
    rests: fc.integer({ min: 1, max: 8 }),
    recycles: fc.boolean(),
    leaves: fc.oneof({ weight: 5, arbitrary: fc.constant(Infinity) }, fc.integer({ min: 1, max: 5 })),
  }),
  { minLength: 2, maxLength: 6 },
);

const sentBy = ({ start, size }: Exchange): Uint8Array => noise.subarray(start, start + size);

async function send(exchange: Exchange, response: ServerResponse): Promise<void> {
  const bytes = sentBy(exchange);
  if (!exchange.isChunked) response.setHeader('content-length', bytes.length);
  response.flushHeaders();
  let writes = 0;
  for (let at = 0; at < bytes.length && !response.destroyed; writes++) {
    // Hundreds of tiny writes show no more than some.
    const size = writes > 50 ? bytes.length : (exchange.writes[writes % exchange.writes.length] ?? 1);
    response.write(bytes.subarray(at, at + size));
    at += size;
    if (exchange.isSlow) await wait(0);
  }
  response.end();
}

/** Reads as the exchange says, and gives what was wrong. Chunks that are not given back must stay as they came. */
async function readAs(exchange: Exchange, body: Body): Promise<string[]> {
  const hash = createHash('sha256');
  const kept: Uint8Array[] = [];
  let count = 0;
  let size = 0;
  for await (const chunk of body) {
    count += 1;
    size += chunk.length;
    hash.update(chunk);
    if (exchange.recycles) recyclerOf(body)?.(chunk);
    else kept.push(chunk);
    if (count === exchange.leaves) break;
    if (count % exchange.rests === 0) await wait(1);
  }
  const expected = digestOf(sentBy(exchange).subarray(0, size));
  const isWhole = size === sentBy(exchange).length || count === exchange.leaves;
  return [
    ...(isWhole ? [] : [`${size} bytes came`]),
    ...(hash.digest('hex') === expected ? [] : ['other bytes came']),
    ...(exchange.recycles || digestOf(Buffer.concat(kept)) === expected ? [] : ['bytes changed after they came']),
  ];
}

const schemes = ['http', 'https'] as const;

test('every body has its own bytes, however it is sent, read, kept or given back beside others', async () => {
  let drawn: readonly Exchange[] = [];
  const listener: RequestListener = (request, response) => {
    const exchange = drawn[Number(request.url?.slice(1))];
    if (exchange) void send(exchange, response);
  };
  const { cert } = certificate;
  const servers = { http: await httpServer(listener), https: await httpsServer(certificate, listener) };
  const get = connected();
  const read = (scheme: 'http' | 'https') =>
    Promise.all(
      drawn.map(async (exchange, index) =>
        readAs(exchange, await get(`${servers[scheme].url}/${index}`, scheme === 'https' ? cert : undefined)),
      ),
    );
  await fc.assert(
    fc.asyncProperty(exchanges, async (list) => {
      drawn = list;
      const none = list.map(() => []);
      expect(await Promise.all(schemes.map(read))).toEqual([none, none]);
    }),
    { numRuns: 25, interruptAfterTimeLimit: 10_000 },
  );
}, 30_000);

test('a head that comes in pieces, each behind others, is read whole', async () => {
  const body = noise.subarray(0, 600_000);
  const head = `HTTP/1.1 200 OK\r\nX-Long: ${'x'.repeat(9_000)}\r\nContent-Length: ${body.length}\r\n\r\n`;
  const { url } = await rawServer((socket: Socket) => {
    socket.on('data', async () => {
      for (let at = 0; at < head.length; at += 1_000) {
        socket.write(head.slice(at, at + 1_000));
        await wait(2);
      }
      socket.write(body);
    });
  });
  const get = connected();
  for (const _ of [1, 2]) {
    const all = await Promise.all([get(`${url}/a`), get(`${url}/b`)]);
    for (const one of all) expect(digestOf(await bytesOf({ body: one }))).toBe(digestOf(body));
  }
});

test('if the connection breaks a slow reader gets the beginning of what was sent, and then the error', async () => {
  const body = noise.subarray(0, 500_000);
  const { url } = await rawServer((socket) => {
    socket.once('data', () =>
      socket.end(Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n'), body])),
    );
  });
  const came: Uint8Array[] = [];
  const reading = (async () => {
    for await (const chunk of await connected()(url)) {
      came.push(chunk);
      await wait(5);
    }
  })();
  await expect(reading).rejects.toMatchObject({ code: 'UNEXPECTED_END' });
  const got = Buffer.concat(came);
  expect(got.length).toBeGreaterThan(100_000);
  expect(digestOf(got)).toBe(digestOf(body.subarray(0, got.length)));
});

test.each([
  ['a length', 'Content-Length: 700000\r\n'],
  ['a length, and the end of the connection', 'Connection: close\r\nContent-Length: 700000\r\n'],
  ['the end of the connection', 'Connection: close\r\n'],
])(
  'a body by %s comes whole to a slow reader, though the server ends the connection behind it',
  async (_by, fields) => {
    const sent = noise.subarray(0, 700_000);
    const serve = (socket: Socket): void => {
      socket.once('data', async () => {
        socket.write(`HTTP/1.1 200 OK\r\n${fields}\r\n`);
        for (const [at, end] of [
          [0, 500],
          [500, 263_000],
          [263_000, 700_000],
        ]) {
          socket.write(sent.subarray(at, end));
          await wait(0);
        }
        socket.end();
      });
    };
    const [plain, secure] = [await rawServer(serve), await rawTlsServer(certificate, serve)];
    const get = connected();
    const read = async ([url, rest, ca]: [url: string, rest: number, ca?: string]): Promise<string> => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of await get(url, ca)) {
        chunks.push(chunk);
        await wait(rest);
      }
      return digestOf(Buffer.concat(chunks));
    };
    const rests = [1, 1, 2, 2, 3, 3];
    const digests = await Promise.all([
      ...rests.map((rest) => read([plain.url, rest])),
      ...rests.map((rest) => read([secure.url, rest, certificate.cert])),
    ]);
    expect(digests).toEqual(digests.map(() => digestOf(sent)));
  },
);

/** Bytes that a server could send of a body of 150 MB while its reader rests. */
async function sentToResting(scheme: 'http' | 'https', how: 'in chunks' | 'by length'): Promise<number> {
  const total = 150_000_000;
  let sent = 0;
  const listener: RequestListener = async (_request, response) => {
    if (how === 'by length') response.setHeader('content-length', total);
    const send = async (count: number, size: number, pause?: number): Promise<void> => {
      for (; count > 0 && sent < total && !response.destroyed; count--) {
        sent += size;
        if (!response.write(noise.subarray(0, size))) await once(response, 'drain').catch(() => {});
        if (pause !== undefined) await wait(pause);
      }
    };
    // Small pieces, a trickle that finds the reader resting, and a flood.
    await send(1_000, 100);
    await wait(150);
    await send(60, 1_000, 3);
    await send(Infinity, 10_000);
  };
  const { url } = scheme === 'http' ? await httpServer(listener) : await httpsServer(certificate, listener);
  const body = await connected()(url, scheme === 'https' ? certificate.cert : undefined);
  const chunks = body[Symbol.asyncIterator]();
  for (let count = 0; count < 6; count++) await chunks.next();
  await wait(100);
  for (let count = 0; count < 6; count++) await chunks.next();
  await wait(500);
  await body.cancel();
  return sent;
}

test('bytes stay with the sender while the reader rests, over http and https, in chunks and by length', async () => {
  const all = await Promise.all(
    schemes.flatMap((scheme) => [sentToResting(scheme, 'in chunks'), sentToResting(scheme, 'by length')]),
  );
  for (const sent of all) expect(sent).toBeLessThan(40_000_000);
});

test('a chunk that is kept holds no more than twice its bytes, or a little', async () => {
  const { url } = await httpServer(async (_request, response) => {
    response.writeHead(200, { 'content-length': 1_010_000 });
    response.write(noise.subarray(0, 10_000));
    await wait(30);
    response.end(noise.subarray(0, 1_000_000));
  });
  for await (const chunk of await connected()(url)) {
    expect(chunk.buffer.byteLength).toBeLessThanOrEqual(2 * chunk.length + 65_536);
  }
});

test('memory that is given back is used for what comes next; anything else is left alone', async () => {
  const { url } = await httpServer((_request, response) => {
    response.writeHead(200, { 'content-length': noise.length }).end(noise);
  });
  const get = connected();
  const body = await get(url);
  const memory = new Set<ArrayBufferLike>();
  let chunks = 0;
  for await (const chunk of body) {
    chunks += 1;
    memory.add(chunk.buffer);
    recyclerOf(body)?.(chunk.subarray(1));
    recyclerOf(body)?.(chunk);
    recyclerOf(body)?.(chunk);
    recyclerOf(body)?.(Buffer.alloc(262_144));
  }
  expect(chunks).toBeGreaterThan(8);
  expect(memory.size).toBeLessThan(chunks);
  expect(digestOf(await bytesOf({ body: await get(url) }))).toBe(digestOf(noise));
});

test('a chunk that is given back late, and a second time, is not taken from another reader', async () => {
  const { url } = await httpServer((_request, response) => {
    response.writeHead(200, { 'content-length': noise.length }).end(noise);
  });
  const get = connected();
  const first = await get(url);
  const stale: Uint8Array[] = [];
  for await (const chunk of first) {
    stale.push(chunk);
    recyclerOf(first)?.(chunk);
  }
  const second = await get(url);
  const kept: Uint8Array[] = [];
  for await (const chunk of second) kept.push(chunk);
  for (const chunk of [...stale, ...kept]) recyclerOf(first)?.(chunk);
  await bytesOf({ body: await get(url) });
  expect(digestOf(Buffer.concat(kept))).toBe(digestOf(noise));
});

test('the memory of a small chunk is its own', async () => {
  const { url } = await httpServer((_request, response) => response.end('small'));
  for await (const chunk of await connected()(url)) expect(chunk.buffer.byteLength).toBeLessThan(1_000);
});
