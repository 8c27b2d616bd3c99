import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { Content } from '../../src/content/content.ts';
import type { ClientEvent } from '../../src/events.ts';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { sampleOf, samples } from '../contract/source.ts';
import { type Answer, chunked, createHosts, errorOf, refusal, sampleHost } from '../support/hosts.ts';

const { large, empty } = samples;
const json = sampleOf(new TextEncoder().encode('{"größe":1}'), 'application/json');

async function contentOver(answer: Answer, { descriptor } = large, options: ClientOptions = {}, signal?: AbortSignal) {
  const hosts = createHosts({ 'origin.test': answer });
  const client = createClient({ transport: hosts.transport, retries: { tries: 1, backoff: 1 }, ...options });
  return { ...hosts, client, content: await client.fetcher('origin.test/app').fetch(descriptor, { signal }) };
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const collected: Uint8Array[] = [];
  for await (const chunk of chunks) collected.push(chunk);
  return Buffer.concat(collected);
}
const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

test('for await gives all bytes, moves the cursor, and ends verified', async () => {
  const { content, log } = await contentOver(await sampleHost());
  let count = 0;
  for await (const chunk of content) {
    count += chunk.length;
    expect([content.position, content.verified, content.source]).toEqual([count, false, 'https://origin.test/v2']);
  }
  expect([count, content.verified, log().length]).toEqual([large.bytes.length, true, 1]);
});

test('the end is reported once; reading further is CLOSED until seek, which begins anew', async () => {
  const { content } = await contentOver(await sampleHost());
  expect(isSame(await collect(content), large.bytes)).toBe(true);
  for (const call of [content.read(1), collect(content)]) expect((await errorOf(call)).code).toBe('CLOSED');
  await content.seek(large.bytes.length);
  expect((await content.read(1)).length).toBe(0);
  expect((await errorOf(content.read(1))).code).toBe('CLOSED');
  expect(content.verified).toBe(true);
  await content.seek(0);
  expect(isSame(await collect(content), large.bytes)).toBe(true);
  expect(content.verified).toBe(true);
});

test('read gives exactly as many bytes, over one request, fewer only at the end, then none', async () => {
  const { content, log } = await contentOver(await sampleHost());
  const pieces: Uint8Array[] = [];
  for (let length = 1; content.position < content.size; length = length * 3 + 1) {
    const expected = Math.min(length, content.size - content.position);
    const piece = await content.read(length);
    expect(piece.length).toBe(expected);
    pieces.push(piece);
  }
  expect(isSame(Buffer.concat(pieces), large.bytes)).toBe(true);
  expect([(await content.read(9)).length, content.verified, log().length]).toEqual([0, true, 1]);
});

test('the last byte is handed on only when the digest is right', async () => {
  const { content } = await contentOver(() => new Response(large.bytes.map((byte) => byte ^ 1)));
  await content.read(large.bytes.length - 1);
  expect((await errorOf(content.read(1))).code).toBe('DIGEST_MISMATCH');
  expect(content.verified).toBe(false);
  const right = await contentOver(await sampleHost());
  await right.content.read(large.bytes.length);
  expect(right.content.verified).toBe(true);
});

test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('read of %s bytes is a RangeError', async (length) => {
  const { content, log } = await contentOver(await sampleHost());
  await expect(content.read(length)).rejects.toThrow(RangeError);
  expect(log()).toEqual([]);
});

test('0 bytes are always available: nothing is requested, and the end is not reported', async () => {
  const { content, log } = await contentOver(await sampleHost());
  expect([(await content.read(0)).length, content.position, log().length]).toEqual([0, 0, 0]);
  await content.seek(content.size);
  for (const _ of [1, 2]) expect((await content.read(0)).length).toBe(0);
  expect((await content.read(1)).length).toBe(0);
  await content.close();
  expect((await errorOf(content.read(0))).code).toBe('CLOSED');
});

test('a part may leave out where it begins', async () => {
  const { content } = await contentOver(await sampleHost());
  for (const part of [content.stream({ end: 5 }), content.readable({ end: 5 })]) {
    expect(isSame(await collect(part), large.bytes.subarray(0, 5))).toBe(true);
  }
  expect(isSame(await collect(content.stream({})), large.bytes)).toBe(true);
});

test.each([-1, 1.5, Number.NaN, 300_008])('seek to %s is a RangeError, and the cursor stays', async (position) => {
  const { content } = await contentOver(await sampleHost());
  await content.read(10);
  await expect(content.seek(position)).rejects.toThrow(RangeError);
  expect(() => content.stream({ start: position })).toThrow(RangeError);
  expect(content.position).toBe(10);
  expect(isSame(await content.read(5), large.bytes.subarray(10, 15))).toBe(true);
});

test('seek requests only the rest; at its own position it does nothing, and the read stays whole', async () => {
  const { content, log } = await contentOver(await sampleHost());
  await content.seek(1_000);
  expect([content.position, log()]).toEqual([1_000, []]);
  expect(isSame(await content.read(10), large.bytes.subarray(1_000, 1_010))).toBe(true);
  await content.seek(0);
  for (const piece of [7, 100_000, 65_536]) {
    await content.read(piece);
    await content.seek(content.position);
  }
  await collect(content);
  expect(content.verified).toBe(true);
  expect(log().map((line) => line.split(' ')[2])).toEqual([`bytes=1000-${large.bytes.length - 1}`, undefined]);
});

test('a part is never verified, not even all bytes in two parts', async () => {
  const { content } = await contentOver(await sampleHost());
  await content.bytes();
  expect(content.verified).toBe(true);
  await content.seek(1);
  await collect(content);
  expect(content.verified).toBe(false);
  await content.bytes();
  await collect(content.stream({ start: 0, end: 10 }));
  expect(content.verified).toBe(false);
});

test('a loop that is left and taken up again is one whole read, verified', async () => {
  const { content, log } = await contentOver(await sampleHost());
  const pieces: Uint8Array[] = [];
  for (let loops = 0; content.position < content.size; loops += 1) {
    for await (const chunk of content) {
      pieces.push(chunk);
      if (loops < 1) break;
    }
  }
  expect(isSame(Buffer.concat(pieces), large.bytes)).toBe(true);
  expect(content.verified).toBe(true);
  expect(log()[1]).toContain('bytes=262144-');
});

test('stream and readable give their range, each on its own, and do not move the cursor', async () => {
  const { content } = await contentOver(await sampleHost());
  await content.read(5);
  const ranges = [
    [0, 1],
    [3, 70_000],
    [299_999, 300_007],
    [0, 300_007],
    [20, 20],
  ] as const;
  await Promise.all(
    ranges.flatMap(([start, end]) => [
      collect(content.stream({ start, end })).then((bytes) =>
        expect(isSame(bytes, large.bytes.subarray(start, end))).toBe(true),
      ),
      collect(content.readable({ start, end })).then((bytes) =>
        expect(isSame(bytes, large.bytes.subarray(start, end))).toBe(true),
      ),
    ]),
  );
  expect(isSame(await collect(content.stream({ start: 300_000 })), large.bytes.subarray(300_000))).toBe(true);
  expect(content.position).toBe(5);
});

test('many streams of one content at once, each right, no more than eight at a time at the host', async () => {
  let open = 0;
  let most = 0;
  const host = await sampleHost();
  const flush = (): void => {
    open -= 1;
  };
  const answer: Answer = async (request) => {
    open += 1;
    most = Math.max(most, open);
    const response = await host(request);
    return new Response(response.body?.pipeThrough(new TransformStream({ flush })), response);
  };
  const { content } = await contentOver(answer);
  const starts = Array.from({ length: 60 }, (_, index) => index * 5_000);
  const all = await Promise.all(starts.map((start) => collect(content.stream({ start, end: start + 5_001 }))));
  expect(
    all.every((bytes, index) => isSame(bytes, large.bytes.subarray(starts[index], (starts[index] ?? 0) + 5_001))),
  ).toBe(true);
  expect(most).toBeLessThanOrEqual(8);
});

test('bytes, text and json read the whole, within a limit that is checked before any request', async () => {
  const { content, log } = await contentOver(await sampleHost([json]), json);
  const error = await errorOf(content.bytes({ limit: 11 }));
  expect([error.code, log()]).toEqual(['TOO_LARGE', []]);
  expect(error.message).toContain(json.descriptor.digest);
  expect(await content.text({ limit: 13 })).toBe('{"größe":1}');
  expect(await content.json()).toEqual({ größe: 1 });
  const { content: other } = await contentOver(await sampleHost());
  expect((await errorOf(other.json())).code).toBe('BAD_RESPONSE');
});

test('empty content is requested, as only its host can say whether it exists', async () => {
  const there = await contentOver(await sampleHost(), empty);
  expect([(await there.content.bytes()).length, there.content.verified, there.log().length]).toEqual([0, true, 1]);
  expect((await there.content.read(1)).length).toBe(0);
  const gone = await contentOver(refusal(404), empty);
  expect((await errorOf(gone.content.bytes())).code).toBe('NOT_FOUND');
  const more = await contentOver(() => new Response(chunked(new Uint8Array(1))), empty);
  expect((await errorOf(more.content.bytes())).code).toBe('TOO_LARGE');
});

test('after close everything is CLOSED, also what was begun before', async () => {
  const { content } = await contentOver(await sampleHost());
  const stream = content.stream();
  const readable = content.readable();
  const loop = content[Symbol.asyncIterator]();
  await loop.next();
  await content.close();
  await content.close();
  const calls = [
    () => content.read(1),
    () => content.seek(1),
    () => content.bytes(),
    () => collect(content),
    () => loop.next(),
    () => collect(stream),
    () => collect(readable),
    async () => content.stream(),
    async () => content.readable(),
  ];
  for (const call of calls) expect((await errorOf(call())).code).toBe('CLOSED');
});

test('await using closes', async () => {
  const { content } = await contentOver(await sampleHost());
  {
    await using held = content;
    await held.read(1);
  }
  expect((await errorOf(content.read(1))).code).toBe('CLOSED');
});

test('the client closed, readings end with CLOSED, and nothing more is sent', async () => {
  const { content, client, log } = await contentOver(() => new Response(chunked(large.bytes.slice(0, 10), 'stall')));
  await content.read(10);
  const waiting = errorOf(content.read(1));
  const source = client.fetcher('origin.test/app').source;
  await client.close();
  expect((await waiting).code).toBe('CLOSED');
  const count = log().length;
  const { descriptor } = large;
  const calls = [
    content.bytes(),
    source.fetch(descriptor),
    source.resolve('latest'),
    client.resolve('origin.test/app'),
    client.fetcher('origin.test/app').fetch(descriptor),
    client.fetcher('origin.test/app').fetchByDigest(descriptor.digest),
  ];
  for (const call of calls) expect((await errorOf(call)).code).toBe('CLOSED');
  expect(log()).toHaveLength(count);
});

test('a reading has a time limit if one is set: TIMEOUT, whatever it waits for', async () => {
  const stalls: Answer[] = [
    () => new Promise(() => {}),
    () => new Response(chunked(large.bytes.slice(0, 10), 'stall')),
  ];
  for (const answer of stalls) {
    const { content } = await contentOver(answer, large, { timeouts: { operation: 50 } });
    const error = await errorOf(content.bytes());
    expect(error.code).toBe('TIMEOUT');
    expect(error.message).toContain('50 ms');
  }
});

test('a stall is noticed after the idle limit, and the reading resumes elsewhere', async () => {
  const events: ClientEvent[] = [];
  const length = { 'content-length': String(large.bytes.length) };
  const stalled: Answer = () => new Response(chunked(large.bytes.slice(0, 10), 'stall'), { headers: length });
  const hosts = createHosts({ 'mirror.test': stalled, 'origin.test': await sampleHost() }, { idle: 40 });
  const config = { registries: { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } } };
  const client = createClient({ transport: hosts.transport, config, onEvent: (event) => events.push(event) });
  const content = await client.fetcher('origin.test/app').fetch(large.descriptor);
  expect(isSame(await collect(content), large.bytes)).toBe(true);
  expect(content.verified).toBe(true);
  const { digest, size } = large.descriptor;
  const [from, to] = ['https://mirror.test/v2', 'https://origin.test/v2'];
  expect(events).toContainEqual({
    type: 'switch',
    digest,
    offset: 10,
    from,
    to,
    reason: expect.stringContaining('40 ms'),
  });
  expect(events).toContainEqual({ type: 'verified', digest, size, from: to });
  expect(events.findLast(({ type }) => type === 'progress')).toEqual({
    type: 'progress',
    digest,
    position: size,
    size,
    from: to,
  });
  // A host that stalls is passed over at once where another one is left.
  expect(hosts.log().map((line) => line.replace(/^GET https:|v2.* (?=b)|v2.*/g, ''))).toEqual([
    '//mirror.test/',
    `//origin.test/bytes=10-${size - 1}`,
  ]);
});

test('a host that gives nothing is contacted four times, and all breaks are reported', async () => {
  const { content, log } = await contentOver(() => new Response(chunked('break')));
  const error = await errorOf(content.bytes());
  expect([error.code, error.attempts.length, log().length]).toEqual(['UNEXPECTED_END', 4, 4]);
});

test('an abort before the first request sends nothing; the reason is the cause', async () => {
  const reason = new Error('enough');
  const controller = new AbortController();
  const { content, client, log } = await contentOver(await sampleHost(), large, {}, controller.signal);
  controller.abort(reason);
  const again = client.fetcher('origin.test/app').fetch(large.descriptor, { signal: controller.signal });
  for (const call of [again, content.bytes(), content.read(1), collect(content.stream())]) {
    expect(await errorOf(call)).toMatchObject({ code: 'ABORTED', cause: reason, attempts: [] });
  }
  expect(log()).toEqual([]);
});

const never: Answer = () => new Promise(() => {});
const stalling: Answer = ({ headers }) =>
  new Response(chunked(large.bytes.slice(0, 10), 'stall'), {
    status: headers.has('range') ? 500 : 200,
    headers: { 'content-length': String(large.bytes.length) },
  });

test.each([
  ['no answer', never],
  ['no more bytes', stalling],
])('what ends a reading that waits, at a host with %s, tells what was tried', async (_, answer) => {
  const registries = { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } };
  for (const [timeouts, code] of [
    [{ operation: 60 }, 'TIMEOUT'],
    [{}, 'ABORTED'],
  ] as const) {
    const hosts = createHosts({ 'mirror.test': refusal(503), 'origin.test': answer });
    const client = createClient({
      transport: hosts.transport,
      config: { registries },
      timeouts,
      retries: { tries: 1 },
    });
    const controller = new AbortController();
    const content = await client.fetcher('origin.test/app').fetch(large.descriptor, { signal: controller.signal });
    if (code === 'ABORTED') setTimeout(() => controller.abort(new Error('enough')), 60);
    const error = await errorOf(content.bytes());
    expect([error.code, error.host]).toEqual([code, 'origin.test']);
    const told = error.attempts.map(({ host, outcome }) => `${host} ${outcome}`);
    // What failed before the host that answered is told by the switch, as an event.
    expect(told).toEqual(
      answer === never ? ['mirror.test UNAVAILABLE', `origin.test ${code}`] : [`origin.test ${code}`],
    );
    expect(error.message).toMatch(code === 'TIMEOUT' ? /not done in 60 ms$/ : /enough$/);
  }
});

test.each<[title: string, status: number, headers: Record<string, string>]>([
  ['416', 416, {}],
  ['a wrong range', 206, { 'content-range': `bytes 0-9/${large.bytes.length}` }],
  ['an encoded range', 206, { 'content-encoding': 'gzip' }],
  ['a status that is no answer', 204, {}],
])('a host that says %s once on the way is asked again', async (_, status, headers) => {
  const good = await sampleHost();
  let count = 0;
  const answer: Answer = (request) => {
    count += 1;
    if (count === 1) return new Response(chunked(large.bytes.slice(0, 1_000), 'break'));
    const body = status === 204 ? null : large.bytes.slice(0, 10);
    return count < 4 ? new Response(body, { status, headers }) : good(request);
  };
  const { content, log } = await contentOver(answer);
  expect(isSame(await collect(content), large.bytes)).toBe(true);
  expect([content.verified, log().length]).toEqual([true, 4]);
});

test('a first response of the wrong length is requested again, at most three times, and too long a one not at all', async () => {
  const answerOf =
    (length: number): Answer =>
    () =>
      new Response(chunked(new Uint8Array(1)), { headers: { 'content-length': String(length) } });
  const short = await contentOver(answerOf(large.bytes.length - 1));
  const error = await errorOf(short.content.bytes());
  expect([error.code, error.attempts.length, short.log().length]).toEqual(['UNEXPECTED_END', 4, 4]);
  const long = await contentOver(answerOf(large.bytes.length + 1));
  expect([(await errorOf(long.content.bytes())).code, long.log().length]).toEqual(['TOO_LARGE', 1]);
});

test.each([
  [404, 'NOT_FOUND'],
  [401, 'UNAUTHORIZED'],
  [403, 'DENIED'],
  [400, 'BAD_RESPONSE'],
])('a host that says %s is asked once: no other opening mends it', async (status, code) => {
  const { content, log } = await contentOver(refusal(status));
  expect([(await errorOf(content.bytes())).code, log().length]).toEqual([code, 1]);
});

test('a host that was too long is left out when the other one is contacted again', async () => {
  const good = await sampleHost();
  let count = 0;
  const long = { headers: { 'content-length': String(large.bytes.length + 1) } };
  const hosts = createHosts({
    'mirror.test': () => new Response(chunked(new Uint8Array(1)), long),
    'origin.test': (request) => {
      count += 1;
      return count === 1 ? new Response(null, { status: 416 }) : good(request);
    },
  });
  const registries = { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } };
  const client = createClient({ transport: hosts.transport, config: { registries } });
  const content = await client.fetcher('origin.test/app').fetch(large.descriptor);
  expect(isSame(await content.bytes(), large.bytes)).toBe(true);
  expect(hosts.log().map((line) => line.split('/')[2])).toEqual(['mirror.test', 'origin.test', 'origin.test']);
});

/** A host that breaks each response off after `step` bytes. */
const breakingAfter =
  (step: number, { bytes } = large): Answer =>
  ({ headers }) => {
    const start = Number(/bytes=(\d+)/.exec(headers.get('range') ?? '')?.[1] ?? 0);
    const range = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
    const chunk = bytes.slice(start, start + step);
    const body = start + step < bytes.length ? chunked(chunk, 'break') : chunked(chunk);
    return new Response(body, headers.has('range') ? { status: 206, headers: range } : {});
  };

test('a host that gives a byte at a time is given up after three reopenings, each later than the one before', async () => {
  const waits: number[] = [];
  const onEvent = (event: ClientEvent) => event.type === 'wait' && waits.push(event.milliseconds);
  const options: ClientOptions = { retries: { tries: 1, backoff: 40 }, onEvent };
  const { content, log } = await contentOver(breakingAfter(1), large, options);
  const started = performance.now();
  const error = await errorOf(content.bytes());
  expect([error.code, error.attempts.length, log().length]).toEqual(['UNEXPECTED_END', 4, 4]);
  expect([(waits[0] ?? 0) >= 20, (waits[1] ?? 0) >= 40]).toEqual([true, true]);
  expect(performance.now() - started).toBeGreaterThanOrEqual(59);
});

test('the wait before a reopening ends with the signal, and with the content', async () => {
  let begin = (): void => {};
  const waiting = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const onEvent = (event: ClientEvent) => event.type === 'wait' && begin();
  const options: ClientOptions = { retries: { tries: 1, backoff: 60_000 }, onEvent };
  const { content, log } = await contentOver(breakingAfter(1), large, options);
  const failed = errorOf(content.bytes());
  await waiting;
  await content.close();
  const error = await failed;
  expect([error.code, error.attempts.length, log().length]).toEqual(['CLOSED', 2, 2]);
});

test('a host that gives 64 KiB of each response is read to the end', async () => {
  const { content, log } = await contentOver(breakingAfter(65_536));
  expect(isSame(await content.bytes(), large.bytes)).toBe(true);
  expect(log().length).toBe(Math.ceil(large.bytes.length / 65_536));
});

test('a reading is reopened a hundred times, and once for each MiB, at most', async () => {
  // Every other response brings enough, so that those that bring too little are never three in a row.
  const size = 65_536 * 70;
  const wide = sampleOf(new Uint8Array(size));
  let count = 0;
  const answer: Answer = (request) => {
    count += 1;
    return breakingAfter(count % 2 === 0 ? 1 : 65_536, wide)(request);
  };
  const { content, log } = await contentOver(answer, wide, { retries: { tries: 1, backoff: 0 } });
  const error = await errorOf(content.bytes());
  expect([error.code, log().length]).toEqual(['UNEXPECTED_END', 106]);
  expect(error.attempts).toHaveLength(10);
  expect(error.message.length).toBeLessThanOrEqual(2_000);
  expect(error.message).toContain('96 more');
});

test('a host that breaks a second time is left for the next one, whatever it brought', async () => {
  const { bytes, descriptor } = large;
  const breaking: Answer = ({ headers }) => {
    const start = Number(/bytes=(\d+)/.exec(headers.get('range') ?? '')?.[1] ?? 0);
    const range = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
    const body = chunked(bytes.slice(start, start + 100), 'break');
    return new Response(body, headers.has('range') ? { status: 206, headers: range } : {});
  };
  const hosts = createHosts({ 'mirror.test': breaking, 'origin.test': await sampleHost() });
  const registries = { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } };
  const client = createClient({ transport: hosts.transport, config: { registries } });
  const content = await client.fetcher('origin.test/app').fetch(descriptor);
  expect(isSame(await content.bytes(), bytes)).toBe(true);
  expect(hosts.requests.map(({ url, headers }) => `${new URL(url).host} ${headers.get('range') ?? 'whole'}`)).toEqual([
    'mirror.test whole',
    `mirror.test bytes=100-${bytes.length - 1}`,
    `origin.test bytes=200-${bytes.length - 1}`,
  ]);
});

test('a fail-over before the first byte is a switch from 0 on, reported once for each opening', async () => {
  const switches: object[] = [];
  const onEvent = (event: ClientEvent) => event.type === 'switch' && switches.push(event);
  const hosts = createHosts({ 'a.test': refusal(500), 'b.test': refusal(404), 'origin.test': await sampleHost() });
  const registries = { 'origin.test': { mirrors: [{ url: 'https://a.test' }, { url: 'https://b.test' }] } };
  const client = createClient({ transport: hosts.transport, config: { registries }, onEvent });
  const content = await client.fetcher('origin.test/app').fetch(large.descriptor);
  await content.bytes();
  const { digest } = large.descriptor;
  const [from, to] = ['https://a.test/v2', 'https://origin.test/v2'];
  const expected = { type: 'switch', digest, offset: 0, from, to, reason: expect.stringContaining('status 500') };
  expect(switches).toEqual([expected]);
  await collect(content.stream({ start: 3, end: 5 }));
  expect(switches.slice(1)).toEqual([{ ...expected, offset: 3 }]);
  const other = await client.fetcher('origin.test/app').fetchByDigest(digest);
  await other.bytes();
  expect(switches.slice(2)).toEqual([expected]);
});

/** A server on a socket that counts what it could send, and which requests it lost. */
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});
async function socketServer(answer: (response: ServerResponse) => void, options: ClientOptions = {}) {
  const state = { lost: 0, requests: 0 };
  const server = createServer((_, response) => {
    state.requests += 1;
    response.on('close', () => {
      if (!response.writableFinished) state.lost += 1;
    });
    answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const client = createClient(options);
  closing.push(() => void client.close());
  return { state, client, name: `127.0.0.1:${(server.address() as AddressInfo).port}/app` };
}
const headOnly = (response: ServerResponse): void => {
  response.writeHead(200, { 'content-length': large.bytes.length });
  response.write(large.bytes.subarray(0, 1_000));
};

test('an abort ends the request on the socket: before the head, in the body, between two reads', async () => {
  const never = await socketServer(() => {});
  const half = await socketServer(headOnly);
  const cases: [typeof half, (content: Content) => Promise<unknown>, isBetween: boolean][] = [
    [never, (content) => content.bytes(), false],
    [half, (content) => content.bytes(), false],
    [half, (content) => collect(content), false],
    [half, (content) => collect(content.stream()), false],
    [half, (content) => collect(content.readable()), false],
    [half, (content) => content.read(10), true],
  ];
  for (const [{ client, name, state }, read, isBetween] of cases) {
    const { lost, requests } = state;
    const controller = new AbortController();
    const content = await client.fetcher(name).fetch(large.descriptor, { signal: controller.signal });
    const reading = read(content);
    const outcome = isBetween ? reading : errorOf(reading);
    await expect.poll(() => state.requests).toBe(requests + 1);
    if (isBetween) await outcome;
    else await sleep(20);
    controller.abort(new Error('enough'));
    if (!isBetween) expect(await outcome).toMatchObject({ code: 'ABORTED' });
    await expect.poll(() => state.lost).toBe(lost + 1);
    if (isBetween) expect((await errorOf(content.read(2_000))).code).toBe('ABORTED');
  }
});

test('leaving, cancelling, destroying and closing free the socket, read or unread', async () => {
  const { client, name, state } = await socketServer(headOnly, { limits: { manifestBytes: 1_000 } });
  const ways: ((content: Content) => Promise<unknown>)[] = [
    async (content) => {
      for await (const _ of content) break;
    },
    async (content) => {
      const reader = content.stream().getReader();
      await reader.read();
      await reader.cancel();
    },
    async (content) => {
      for await (const _ of content.readable()) break;
    },
    async (content) => {
      await content.read(1);
      await content.seek(5);
    },
    async (content) => {
      await content.read(1);
      await content.close();
    },
  ];
  for (const [index, way] of ways.entries()) {
    await way(await client.fetcher(name).fetch(large.descriptor));
    await expect.poll(() => state.lost).toBe(index + 1);
  }
  const unread = await client.fetcher(name).fetchByDigest(large.descriptor.digest);
  await unread.close();
  await expect.poll(() => state.lost).toBe(ways.length + 1);
});

test('a slow reader holds the server back', async () => {
  const size = 200_000_000;
  let sent = 0;
  const { client, name } = await socketServer((response) => {
    response.writeHead(200, { 'content-length': size });
    const piece = Buffer.alloc(65_536);
    const send = (): void => {
      while (sent < size && !response.destroyed) {
        sent += piece.length;
        if (!response.write(piece)) return void response.once('drain', send);
      }
    };
    send();
  });
  const descriptor = { ...large.descriptor, size };
  for (const take of [
    async (content: Content) => content.read(100),
    async (content: Content) => content.stream().getReader().read(),
    async (content: Content) =>
      content
        .readable()
        .once('data', () => {})
        .pause(),
  ]) {
    sent = 0;
    const content = await client.fetcher(name).fetch(descriptor);
    await take(content);
    await sleep(150);
    expect(sent).toBeLessThan(40_000_000);
    await content.close();
  }
});

test('a readable goes through a pipeline, which a broken one ends', async () => {
  const { content } = await contentOver(await sampleHost());
  const pieces: Uint8Array[] = [];
  await pipeline(content.readable(), async (chunks: AsyncIterable<Uint8Array>) => {
    for await (const chunk of chunks) pieces.push(chunk);
  });
  expect([isSame(Buffer.concat(pieces), large.bytes), content.verified]).toEqual([true, true]);
  const wrong = await contentOver(() => new Response(large.bytes.map((byte) => byte ^ 1)));
  const drain = pipeline(
    wrong.content.readable(),
    async (chunks: AsyncIterable<Uint8Array>) => void (await collect(chunks)),
  );
  expect((await errorOf(drain)).code).toBe('DIGEST_MISMATCH');
});

test('a host that lied is contacted last for that content from then on, by the whole client', async () => {
  const lying: Answer = () => new Response(large.bytes.map((byte) => byte ^ 1));
  const hosts = createHosts({ 'mirror.test': lying, 'origin.test': await sampleHost() });
  const config = { registries: { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } } };
  const client = createClient({ transport: hosts.transport, config });
  const fetcher = client.fetcher('origin.test/app');
  expect((await errorOf(collect(await fetcher.fetch(large.descriptor)))).code).toBe('DIGEST_MISMATCH');
  const again = await fetcher.fetch(large.descriptor);
  expect(isSame(await collect(again), large.bytes)).toBe(true);
  expect([again.source, again.verified]).toEqual(['https://origin.test/v2', true]);
  expect(hosts.log().map((line) => line.split('/')[2])).toEqual(['mirror.test', 'origin.test']);
});

test('bytes begins again at another host after wrong bytes, or too many; the error lists all', async () => {
  const lying: Answer = () => new Response(large.bytes.map((byte) => byte ^ 1));
  const long: Answer = () => new Response(chunked(large.bytes, new Uint8Array(1)));
  const config = { registries: { 'origin.test': { mirrors: [{ url: 'https://a.test' }, { url: 'https://b.test' }] } } };
  const good = await sampleHost();
  const over = async (last: Answer) => {
    const hosts = createHosts({ 'a.test': lying, 'b.test': long, 'origin.test': last });
    const client = createClient({ transport: hosts.transport, config, retries: { tries: 1 } });
    return { ...hosts, content: await client.fetcher('origin.test/app').fetch(large.descriptor) };
  };
  const { content, log } = await over(good);
  expect(isSame(await content.bytes(), large.bytes)).toBe(true);
  expect(log().map((line) => line.split('/')[2])).toEqual(['a.test', 'b.test', 'origin.test']);
  const error = await errorOf((await over(refusal(503))).content.bytes());
  expect(error.code).toBe('DIGEST_MISMATCH');
  expect(new Set(error.attempts.map(({ host, outcome }) => `${host} ${outcome}`))).toEqual(
    new Set(['a.test DIGEST_MISMATCH', 'b.test TOO_LARGE', 'origin.test UNAVAILABLE']),
  );
});

test('a host that lied before the loop was left is remembered, and not only the one that read on', async () => {
  const lying: Answer = ({ headers }) =>
    headers.has('range')
      ? new Response(null, { status: 404 })
      : new Response(chunked(large.bytes.map((byte) => byte ^ 1).slice(0, 100), large.bytes.slice(100)));
  const hosts = createHosts({ 'mirror.test': lying, 'origin.test': await sampleHost() });
  const config = { registries: { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } } };
  const client = createClient({ transport: hosts.transport, config });
  const content = await client.fetcher('origin.test/app').fetch(large.descriptor);
  for await (const _ of content) break;
  const error = await errorOf(collect(content));
  expect(error.code).toBe('DIGEST_MISMATCH');
  expect(error.message).toContain('https://mirror.test/v2, https://origin.test/v2');
  await content.seek(0);
  expect(isSame(await collect(content), large.bytes)).toBe(true);
  expect(content.source).toBe('https://origin.test/v2');
});
