import { createHash } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { createBody } from '../../src/body.ts';
import { firstOf } from '../../src/combine.ts';
import { createHosts, createLiars } from '../../src/content/attempts.ts';
import { Content } from '../../src/content/content.ts';
import { createSplitSharing } from '../../src/content/parts.ts';
import { readContent } from '../../src/content/split-reading.ts';
import { RegistryError } from '../../src/errors.ts';
import type { ClientEvent } from '../../src/events.ts';
import { createClient } from '../../src/remote/client.ts';
import type { FetchOptions, Source } from '../../src/source.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { failsWith } from '../contract/source.ts';

const mebibyte = 1_048_576;

/** Bytes that are nowhere the same. */
const all = new Uint8Array(new Uint32Array(6 * mebibyte).map((_, index) => Math.imul(index, 2_654_435_761)).buffer);

function contentOf(size: number) {
  const bytes = all.subarray(0, size);
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}` as const;
  return { bytes, descriptor: { mediaType: 'application/octet-stream', digest, size } };
}

const content = contentOf(12 * mebibyte);
const { bytes, descriptor } = content;

interface Asked {
  readonly start: number;
  readonly end: number;
  readonly isPart: boolean;
}

interface Behaviour {
  /** Bytes after which a response breaks off; undefined for none. */
  readonly cut?: (asked: Asked, count: number) => number | undefined;
  readonly refuse?: (asked: Asked, count: number) => RegistryError | undefined;
  /** Waits before each chunk. */
  readonly pause?: (asked: Asked) => Promise<void> | undefined;
  readonly chunkBytes?: number;
  readonly data?: Uint8Array;
}

/** A host in this process, what it was asked for, and how many of its bodies are open. */
function hostOf(name: string, { cut, refuse, pause, chunkBytes = 262_144, data = bytes }: Behaviour = {}) {
  const asked: Asked[] = [];
  const state = { open: 0, most: 0, sent: 0 };
  const fetch = async (target: typeof descriptor, { range, isPart = false, signal }: FetchOptions = {}) => {
    const { start = 0, end = target.size } = range ?? {};
    const one = { start, end, isPart };
    const count = asked.push(one);
    await new Promise(setImmediate);
    signal?.throwIfAborted();
    const error = refuse?.(one, count);
    if (error) throw error;
    const stop = cut?.(one, count);
    let at = start;
    state.open += 1;
    state.most = Math.max(state.most, state.open);
    const { body, ended } = createBody(
      {
        next: async () => {
          await (pause?.(one) ?? new Promise(setImmediate));
          if (stop !== undefined && at - start >= stop) throw new RegistryError('UNEXPECTED_END', 'cut');
          const chunk = data.slice(at, Math.min(end, at + chunkBytes, start + (stop ?? end)));
          at += chunk.length;
          state.sent += chunk.length;
          return chunk.length > 0 ? chunk : undefined;
        },
        cancel: () => {},
      },
      { signal },
    );
    void ended.then(() => {
      state.open -= 1;
    });
    return { descriptor: target, body, from: name, request: `https://${name}/v2/a/blobs/${target.digest}` };
  };
  const source: Source = { name, resolve: async () => descriptor, fetch: fetch as Source['fetch'] };
  return { source, asked, state, parts: () => asked.filter(({ isPart }) => isPart) };
}

type Host = ReturnType<typeof hostOf>;

/** A source of several hosts over which contents are divided at once. */
function divided(hosts: readonly Host[], choice: 'auto' | 'always' | 'never' = 'always') {
  const inner = createSplitSharing({ choice });
  const memory = { reserved: 0, most: 0 };
  const sharing: typeof inner = {
    ...inner,
    reserve: (count) => {
      if (!inner.reserve(count)) return false;
      memory.reserved += count;
      memory.most = Math.max(memory.most, memory.reserved);
      return true;
    },
    release: (count) => {
      memory.reserved -= count;
      inner.release(count);
    },
  };
  const mirrors = hosts.map(({ source }) => source);
  const source: Source = { ...firstOf(...mirrors), divisible: { mirrors, origins: [], sharing } };
  return { source, memory, sharing };
}

interface ReadOptions {
  readonly signal?: AbortSignal;
  readonly emit?: (event: ClientEvent) => void;
  readonly range?: { start: number; end: number };
  readonly target?: typeof descriptor;
}

function read(
  source: Source,
  { signal = new AbortController().signal, emit, range, target = descriptor }: ReadOptions = {},
) {
  const hosts = createHosts();
  const options = { range: range ?? { start: 0, end: target.size }, signal, hosts, emit, isVerified: true };
  return { hosts, chunks: readContent(source, target, options) };
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const collected: Uint8Array[] = [];
  for await (const chunk of chunks) collected.push(chunk.slice());
  return Buffer.concat(collected);
}

/** All bodies end, and all memory is given back. */
async function atRest({ memory, sharing }: ReturnType<typeof divided>, hosts: readonly Host[]): Promise<void> {
  await expect.poll(() => memory.reserved).toBe(0);
  await expect.poll(() => hosts.map(({ state }) => state.open)).toEqual(hosts.map(() => 0));
  await expect.poll(() => hosts.map(({ source }) => sharing.openAt(source.name ?? ''))).toEqual(hosts.map(() => 0));
}

test('a content is read over several connections and hosts, in order', async () => {
  const hosts = [hostOf('a'), hostOf('b'), hostOf('c')];
  const split = divided(hosts);
  const events: ClientEvent[] = [];
  const { chunks, hosts: reading } = read(split.source, { emit: (event) => events.push(event) });
  expect((await collect(chunks)).equals(bytes)).toBe(true);
  for (const host of hosts) expect(host.parts().length).toBeGreaterThan(0);
  expect([...reading.served].sort()).toEqual(['a', 'b', 'c']);
  expect(reading).toMatchObject({ isSpliced: true, end: bytes.length });
  const [first] = events.filter(({ type }) => type === 'split');
  expect(first).toMatchObject({ digest: descriptor.digest, size: bytes.length, connections: 12 });
  const positions = events.flatMap((event) => (event.type === 'progress' ? event.position : []));
  expect(positions).toEqual([...positions].sort((a, b) => a - b));
  expect(positions.at(-1)).toBe(bytes.length);
  await atRest(split, hosts);
});

test('no host has more than eight exchanges', async () => {
  const host = hostOf('a');
  const split = divided([host]);
  expect((await collect(read(split.source).chunks)).equals(bytes)).toBe(true);
  expect(host.state.most).toBeGreaterThan(4);
  expect(host.state.most).toBeLessThanOrEqual(8);
});

test('a part of a content is divided, too, and nothing outside of it is requested', async () => {
  const host = hostOf('a');
  const range = { start: 1_000_003, end: 11_000_001 };
  const { chunks } = read(divided([host]).source, { range });
  expect((await collect(chunks)).equals(bytes.subarray(range.start, range.end))).toBe(true);
  expect(host.parts().length).toBeGreaterThan(3);
  expect(Math.min(...host.asked.map(({ start }) => start))).toBe(range.start);
  expect(Math.max(...host.asked.map(({ end }) => end))).toBe(range.end);
});

test('small content, a source with one host at a time, and "never" are one request', async () => {
  const small = contentOf(8 * mebibyte - 1);
  const host = hostOf('a', { data: small.bytes });
  await collect(read(divided([host]).source, { target: small.descriptor }).chunks);
  expect(host.asked).toHaveLength(1);
  const plain = hostOf('b');
  await collect(read(firstOf(plain.source)).chunks);
  expect(plain.asked).toHaveLength(1);
  const alone = hostOf('c');
  await collect(read(divided([alone], 'never').source).chunks);
  expect(alone.asked).toHaveLength(1);
});

test('what a part that broke did not bring is requested again, and nothing twice', async () => {
  const host = hostOf('a', { cut: ({ isPart }, count) => (isPart && count === 3 ? 300_000 : undefined) });
  const split = divided([host]);
  expect((await collect(read(split.source).chunks)).equals(bytes)).toBe(true);
  const third = host.asked[2];
  expect(host.asked.map(({ start }) => start)).toContain((third?.start ?? 0) + 300_000);
  expect(new Set(host.asked.map(({ start }) => start)).size).toBe(host.asked.length);
  await atRest(split, [host]);
});

test('a host without the content serves no further part', async () => {
  const missing = hostOf('b', { refuse: () => new RegistryError('NOT_FOUND', 'not here', { status: 404 }) });
  const hosts = [hostOf('a'), missing];
  expect((await collect(read(divided(hosts).source).chunks)).equals(bytes)).toBe(true);
  // Those that were requested before the first refusal.
  expect(missing.asked.length).toBeLessThanOrEqual(8);
  expect(hosts[0]?.parts().length).toBeGreaterThan(2);
});

test('a host that failed before another responded serves no part at all', async () => {
  const missing = hostOf('a', { refuse: () => new RegistryError('NOT_FOUND', 'not here', { status: 404 }) });
  const hosts = [missing, hostOf('b')];
  expect((await collect(read(divided(hosts).source).chunks)).equals(bytes)).toBe(true);
  expect(missing.asked).toHaveLength(1);
});

test('a host that asks for less gets less, and in the end one request', async () => {
  const busy = (status: number) =>
    new RegistryError(status === 429 ? 'RATE_LIMITED' : 'UNAVAILABLE', 'later', { status });
  const host = hostOf('a', { refuse: ({ isPart }, count) => (isPart ? busy(count % 2 === 0 ? 429 : 503) : undefined) });
  expect((await collect(read(divided([host]).source).chunks)).equals(bytes)).toBe(true);
  expect(host.parts().length).toBeLessThanOrEqual(8);
  expect(host.asked.filter(({ isPart }) => !isPart)).toEqual([{ start: 0, end: bytes.length, isPart: false }]);
});

test('a reader that pauses has no more than 16 MiB come ahead, and then gets everything', async () => {
  const large = contentOf(24 * mebibyte);
  const host = hostOf('a', { data: large.bytes });
  const split = divided([host]);
  const { chunks } = read(split.source, { target: large.descriptor });
  const first = await chunks.next();
  await expect.poll(() => host.state.open).toBe(1);
  expect(split.memory.reserved).toBeLessThanOrEqual(16 * mebibyte);
  expect(host.state.sent).toBeLessThanOrEqual(17 * mebibyte);
  const rest = await collect(chunks);
  expect(Buffer.concat([first.value ?? new Uint8Array(), rest]).equals(large.bytes)).toBe(true);
  expect(split.memory.most).toBeLessThanOrEqual(16 * mebibyte);
  await atRest(split, [host]);
});

test('several readings share that memory, and each of them continues', async () => {
  const host = hostOf('a');
  const split = divided([host]);
  const paused = read(split.source).chunks;
  await paused.next();
  await expect.poll(() => host.state.open).toBe(1);
  expect((await collect(read(split.source).chunks)).equals(bytes)).toBe(true);
  expect(split.memory.most).toBeLessThanOrEqual(16 * mebibyte);
  await paused.return();
  await atRest(split, [host]);
});

test('leaving early ends every part', async () => {
  const hosts = [hostOf('a'), hostOf('b')];
  const split = divided(hosts);
  const { chunks } = read(split.source);
  for (let count = 0; count < 5; count += 1) await chunks.next();
  await chunks.return();
  await atRest(split, hosts);
});

test.each([1, 9])('an abort ends every part at once, after %i chunks', async (after) => {
  const hang = () => new Promise<void>(() => {});
  let count = 0;
  const hosts = [hostOf('a', { pause: ({ start }) => (start > 4 * mebibyte || ++count > 40 ? hang() : undefined) })];
  const split = divided(hosts);
  const controller = new AbortController();
  const { chunks } = read(split.source, { signal: controller.signal });
  for (let taken = 0; taken < after; taken += 1) await chunks.next();
  setTimeout(() => controller.abort(new Error('enough')), 5);
  await expect(collect(chunks)).rejects.toEqual(failsWith('ABORTED'));
  await atRest(split, hosts);
});

test('a part that is waited for and does not come is read from another host', async () => {
  const never = new Promise<void>(() => {});
  const stalls = hostOf('b', { pause: ({ start }) => (start > 4 * mebibyte ? never : undefined) });
  const hosts = [hostOf('a'), stalls];
  const split = divided(hosts);
  const { chunks, hosts: reading } = read(split.source);
  const started = performance.now();
  expect((await collect(chunks)).equals(bytes)).toBe(true);
  expect(performance.now() - started).toBeLessThan(20_000);
  expect(reading.last).toContain('b');
  await atRest(split, hosts);
}, 30_000);

test('wrong bytes of one host are found, and read again over one connection from the other', async () => {
  const wrong = bytes.slice();
  wrong.fill(1, 3 * mebibyte, 8 * mebibyte);
  const liar = hostOf('b', { data: wrong });
  const honest = hostOf('a');
  const { source } = divided([honest, liar]);
  const liars = createLiars();
  const read = new Content({ source, descriptor, emit: () => {}, liars, signals: [] });
  const before = () => honest.parts().length;
  expect(Buffer.from(await read.bytes()).equals(bytes)).toBe(true);
  expect(read.verified).toBe(true);
  expect(liars.of(descriptor.digest)).toContain('b');
  const parts = before();
  await read.bytes();
  expect(before()).toBe(parts);
});

test('however hosts behave, the bytes are right and in order, the window holds, and nothing stays open', async () => {
  const behaviour = fc.record({
    chunkBytes: fc.constantFrom(65_536, 100_003, 262_144),
    cuts: fc.array(fc.constantFrom(undefined, 0, 1, 65_536, 700_001), { maxLength: 12 }),
    refusals: fc.array(fc.constantFrom(undefined, 404, 429, 503), { maxLength: 6 }),
  });
  const check = async (
    behaviours: readonly { chunkBytes: number; cuts: (number | undefined)[]; refusals: (number | undefined)[] }[],
    leave: number,
  ) => {
    const hosts = behaviours.map(({ chunkBytes, cuts, refusals }, index) =>
      hostOf(`host-${index}`, {
        chunkBytes,
        cut: ({ isPart }, count) => (isPart ? cuts[count % 13] : undefined),
        refuse: ({ isPart }, count) => {
          const status = isPart ? refusals[count % 7] : undefined;
          const code = status === 404 ? 'NOT_FOUND' : status === 429 ? 'RATE_LIMITED' : 'UNAVAILABLE';
          return status === undefined ? undefined : new RegistryError(code, 'no', { status });
        },
      }),
    );
    const split = divided(hosts);
    const { chunks } = read(split.source);
    let position = 0;
    for await (const chunk of chunks) {
      if (!Buffer.from(chunk).equals(bytes.subarray(position, position + chunk.length)))
        throw new Error(`wrong at ${position}`);
      position += chunk.length;
      if (position > leave) break;
    }
    if (leave >= bytes.length) expect(position).toBe(bytes.length);
    expect(split.memory.most).toBeLessThanOrEqual(16 * mebibyte);
    await atRest(split, hosts);
  };
  const leaves = fc.oneof(fc.constant(bytes.length), fc.nat(bytes.length));
  const hosts = fc.array(behaviour, { minLength: 1, maxLength: 3 });
  await fc.assert(fc.asyncProperty(hosts, leaves, check), { numRuns: 10 });
});

type Answer = 'range' | 'whole' | 'other range' | 'other total' | 416 | 400 | 501;

/** Sends all bytes, but not so fast that nobody else can be. */
function drip(response: ServerResponse, from = 0): void {
  if (response.destroyed) return;
  if (from >= bytes.length) response.end();
  else {
    response.write(bytes.subarray(from, from + 524_288));
    setTimeout(() => drip(response, from + 524_288), 8);
  }
}

/** A registry over a socket that has one blob, and how it responds to ranges. */
async function registryOf(answer: (count: number) => Answer) {
  const ranges: string[] = [];
  const server = createServer((request, response) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (request.headers.range !== undefined) ranges.push(request.headers.range);
    const how = from === undefined ? 'whole' : answer(ranges.length);
    const start = Number(from);
    const end = Number(to) + 1;
    if (how === 'whole') {
      response.writeHead(200, { 'content-length': bytes.length });
      drip(response);
    } else if (typeof how === 'number') response.writeHead(how).end();
    else {
      const shift = how === 'other range' ? 1 : 0;
      const total = how === 'other total' ? bytes.length + 1 : bytes.length;
      response.writeHead(206, {
        'content-length': end - start,
        'content-range': `bytes ${start + shift}-${end - 1 + shift}/${total}`,
      });
      response.end(bytes.subarray(start, end));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, ranges };
}

function clientFor(split: 'auto' | 'always' | 'never') {
  const events: ClientEvent[] = [];
  const client = createClient({ limits: { split }, onEvent: (event) => events.push(event) });
  onTestFinished(() => client.close());
  return { client, events };
}

test('over sockets, Content and a copy read the parts of a blob, and verify all of it', async () => {
  const { host, ranges } = await registryOf(() => 'range');
  const { client, events } = clientFor('always');
  const fetcher = client.fetcher(`${host}/a`);
  const whole = await fetcher.fetch(descriptor);
  expect((await collect(whole)).equals(bytes)).toBe(true);
  expect(whole.verified).toBe(true);
  expect(ranges.length).toBeGreaterThan(3);
  expect(events.some(({ type }) => type === 'split')).toBe(true);
  const opened = await fetcher.fetchByDigest(descriptor.digest);
  expect((await collect(opened)).equals(bytes)).toBe(true);
  const store = memoryStore();
  await store.push(descriptor, fetcherBody(await fetcher.fetch(descriptor)));
  expect(await store.resolve(descriptor.digest)).toMatchObject({ size: bytes.length });
});

const fetcherBody = async function* (whole: AsyncIterable<Uint8Array>) {
  yield* whole;
};

test.each<Answer>(['whole', 'other range', 'other total', 416, 400, 501])(
  'a host that answers a range with %s is read over one connection',
  async (answer) => {
    const { host, ranges } = await registryOf(() => answer);
    const { client } = clientFor('always');
    const whole = await client.fetcher(`${host}/a`).fetch(descriptor);
    expect((await collect(whole)).equals(bytes)).toBe(true);
    expect(whole.verified).toBe(true);
    expect(ranges.length).toBeLessThanOrEqual(16);
  },
);

test('a host that stops supporting ranges in the middle is read over one connection from there', async () => {
  const { host } = await registryOf((count) => (count <= 5 ? 'range' : 'whole'));
  const { client } = clientFor('always');
  const whole = await client.fetcher(`${host}/a`).fetch(descriptor, { discard: Infinity });
  expect((await collect(whole)).equals(bytes)).toBe(true);
});

test('"never" sends one request', async () => {
  const { host, ranges } = await registryOf(() => 'range');
  const { client } = clientFor('never');
  const whole = await client.fetcher(`${host}/a`).fetch(descriptor);
  expect((await collect(whole)).equals(bytes)).toBe(true);
  expect(ranges).toEqual([]);
});
