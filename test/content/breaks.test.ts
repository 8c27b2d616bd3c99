import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBody } from '../../src/body.ts';
import { firstOf } from '../../src/combine.ts';
import { createLiars } from '../../src/content/attempts.ts';
import { Content } from '../../src/content/content.ts';
import { RegistryError } from '../../src/errors.ts';
import type { ClientEvent } from '../../src/events.ts';
import { createClient } from '../../src/remote/client.ts';
import type { Body, Source } from '../../src/source.ts';
import { sampleOf, samples } from '../contract/source.ts';
import {
  arbitraryBehaviour,
  type Behaviour,
  type BrokenHosts,
  breaks,
  brokenHosts,
  isLiar,
  type Reply,
  replyOf,
} from '../support/broken-host.ts';
import { runs } from '../support/runs.ts';

/** What became of reading: bytes, or the error, which must be a RegistryError. */
type Outcome = { readonly bytes: Uint8Array } | { readonly error: RegistryError };

type Way = (content: Content, start: number, end: number) => Promise<Uint8Array>;

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const collected: Uint8Array[] = [];
  for await (const chunk of chunks) collected.push(chunk);
  return Buffer.concat(collected);
}

/** Every way to read, over any part; those of the whole give all bytes. */
const wholeWays: Readonly<Record<string, Way>> = {
  'for await': (content) => collect(content),
  bytes: (content) => content.bytes(),
  'stream of all': (content) => collect(content.stream()),
  'readable of all': (content) => collect(content.readable()),
  'read in pieces': async (content) => {
    const pieces: Uint8Array[] = [];
    for (let piece = await content.read(17_001); piece.length > 0; piece = await content.read(17_001))
      pieces.push(piece);
    return Buffer.concat(pieces);
  },
  'read at once': (content) => content.read(content.size),
};
const partWays: Readonly<Record<string, Way>> = {
  stream: (content, start, end) => collect(content.stream({ start, end })),
  readable: (content, start, end) => collect(content.readable({ start, end })),
  'seek and read': async (content, start, end) => {
    await content.seek(start);
    return start === end ? new Uint8Array(0) : content.read(end - start);
  },
};

async function outcomeOf(reading: Promise<Uint8Array>): Promise<Outcome> {
  try {
    return { bytes: await reading };
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    return { error };
  }
}

/** No third outcome: right bytes, or an error. A part of a liar's cannot be told, and is not said to be verified. */
async function check(content: Content, bytes: Uint8Array, hosts: readonly Behaviour[], [way, start, end]: Plan) {
  const isWhole = way in wholeWays;
  const read = wholeWays[way] ?? partWays[way];
  if (!read) throw new Error(`no way "${way}"`);
  const outcome = await outcomeOf(read(content, start, end));
  const expected = isWhole ? bytes : bytes.subarray(start, end);
  if ('error' in outcome) {
    expect(outcome.error.code).not.toBe('ABORTED');
    // The promise: as long as one host has all of it, all bytes come, whatever the others do.
    if (way === 'bytes') expect(hosts.some(({ kind }) => kind === 'healthy')).toBe(false);
    return;
  }
  const isRight = Buffer.compare(outcome.bytes, expected) === 0;
  const hasLiar = hosts.some((host) => isLiar(host, way !== 'seek and read'));
  if (!isRight) expect([isWhole, hasLiar, content.verified]).toEqual([false, true, false]);
  else expect(content.verified).toBe(isWhole || (start === 0 && end === bytes.length));
}

const way = (ways: Readonly<Record<string, Way>>): fc.Arbitrary<string> => fc.constantFrom(...Object.keys(ways));

type Plan = readonly [way: string, start: number, end: number];
const arbitraryPlan = (size: number): fc.Arbitrary<Plan> =>
  fc
    .tuple(
      fc.constantFrom(...Object.keys(wholeWays), 'bytes', ...Object.keys(partWays)),
      fc.integer({ min: 0, max: size }),
      fc.integer({ min: 0, max: size }),
    )
    .map(([way, a, b]): Plan => [way, Math.min(a, b), Math.max(a, b)])
    // An empty part asks for nothing, and tells nothing.
    .filter(([way, start, end]) => way in wholeWays || start < end);

/** Most requests that one reading may make: six readings of a whole, each with four openings for each host that gave bytes. */
const mostRequests = 72;

const small = sampleOf(Uint8Array.from({ length: 997 }, (_, index) => (index * 31 + (index >> 8)) & 255));

/** A host in process, asked as an endpoint is: it refuses what an endpoint's source refuses. */
function hostOf(name: string, behaviour: Behaviour, requests: string[]): Source {
  return {
    name,
    resolve: () => Promise.reject(new RegistryError('NOT_FOUND', 'no')),
    fetch: async (descriptor, { range, signal } = {}) => {
      const asked = range && { start: range.start, end: range.end ?? descriptor.size };
      requests.push(`${name} ${asked ? `${asked.start}-${asked.end}` : 'whole'}`);
      const reply = replyOf(behaviour, small.bytes, asked);
      const { status, encoding } = reply;
      if (status !== 200 && status !== 206) throw new RegistryError('UNAVAILABLE', `status ${status}`);
      if (encoding || reply.range?.start !== (status === 206 ? asked?.start : undefined)) {
        throw new RegistryError('BAD_RESPONSE', 'a wrong range');
      }
      const cut = asked && status === 200 ? { ...reply, bytes: reply.bytes.subarray(asked.start, asked.end) } : reply;
      return { descriptor, body: bodyOf(cut, behaviour.step, signal), from: name };
    },
  };
}

function bodyOf({ bytes, end }: Reply, step: number, signal: AbortSignal | undefined): Body {
  let at = 0;
  const next = (): Uint8Array | undefined => {
    if (at < bytes.length) {
      at += step;
      return bytes.slice(at - step, at);
    }
    // A stall comes as what the idle limit makes of it.
    if (end !== 'end') throw end === 'stall' ? new RegistryError('TIMEOUT', 'idle') : new Error('reset');
    return undefined;
  };
  return createBody({ next, cancel: () => {} }, { signal }).body;
}

test('over three hosts that break in any way, read in any way: the bytes are right or the error is', async () => {
  const behaviours = fc.tuple(...[0, 1, 2].map(() => arbitraryBehaviour(small.bytes.length)));
  await fc.assert(
    fc.asyncProperty(behaviours, arbitraryPlan(small.bytes.length), async (hosts, plan) => {
      const requests: string[] = [];
      const content = new Content({
        source: firstOf(...hosts.map((behaviour, index) => hostOf(`host ${index}`, behaviour, requests))),
        descriptor: small.descriptor,
        emit: () => {},
        liars: createLiars(),
        backoff: 0,
        signals: [],
      });
      await check(content, small.bytes, hosts, plan);
      expect(requests.length).toBeLessThanOrEqual(mostRequests);
      // Nobody is asked for a range without a byte.
      expect(requests.filter((line) => / (\d+)-\1$/.test(line))).toEqual([]);
      await content.close();
    }),
    runs(500),
  );
});

test('hosts that behave otherwise at each request: the bytes are right or the error is', async () => {
  const behaviour = arbitraryBehaviour(small.bytes.length);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(behaviour, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 }),
      way(wholeWays),
      async (hosts, name) => {
        const requests: string[] = [];
        let turn = 0;
        const sources = hosts.map((script, index): Source => {
          const source: Source = hostOf(`host ${index}`, { kind: '404', offset: 0, step: 1 }, []);
          const now = () => hostOf(`host ${index}`, script[turn++ % script.length] as Behaviour, requests);
          return { ...source, fetch: (target, options) => now().fetch(target, options) };
        });
        const signals: AbortSignal[] = [];
        const shared = { descriptor: small.descriptor, emit: () => {}, liars: createLiars(), backoff: 0, signals };
        const content = new Content({ source: firstOf(...sources), ...shared });
        const outcome = await outcomeOf((wholeWays[name] as Way)(content, 0, small.bytes.length));
        if ('bytes' in outcome) expect(Buffer.compare(outcome.bytes, small.bytes)).toBe(0);
        expect(content.verified).toBe('bytes' in outcome);
        await content.close();
      },
    ),
    runs(200),
  );
});

const large = sampleOf(Uint8Array.from({ length: 150_011 }, (_, index) => (index * 31 + (index >> 8)) & 255));
let sockets: BrokenHosts;
beforeAll(async () => {
  sockets = await brokenHosts(large.bytes, 3);
});
afterAll(() => sockets.close());

function clientOver({ urls }: BrokenHosts) {
  const mirrors = urls.map((url) => ({ url }));
  return createClient({
    config: { registries: { 'origin.test': { mirrors, origin: 'never' } } },
    timeouts: { idle: 150, headers: 2_000 },
    retries: { tries: 1, backoff: 0 },
  });
}

async function checkOverSockets(hosts: readonly Behaviour[], plan: Plan): Promise<void> {
  sockets.behave(hosts);
  await using client = clientOver(sockets);
  await using content = await client.fetcher('origin.test/app').fetch(large.descriptor);
  await check(content, large.bytes, hosts, plan);
  expect(sockets.requests.length).toBeLessThanOrEqual(mostRequests);
}

test.each(breaks)(
  'over sockets, a host with "%s" before a healthy one: all bytes come, right, or an error',
  async (kind) => {
    const offset = fc.integer({ min: 0, max: large.bytes.length - 1 });
    const healthy: Behaviour = { kind: 'healthy', offset: 0, step: 1_000_000 };
    const run = async (at: number, whole: string, part: string, [start, end]: readonly number[]): Promise<void> => {
      const hosts = [{ kind, offset: at, step: 50_000 }, healthy, { ...healthy, kind: '404' as const }];
      await checkOverSockets(hosts, [whole, 0, large.bytes.length]);
      await checkOverSockets(hosts, [part, start ?? 0, (end ?? 0) + 1]);
      await checkOverSockets(hosts, ['bytes', 0, large.bytes.length]);
    };
    const ends = fc.tuple(offset, offset).map((pair) => pair.sort((a, b) => a - b));
    const property = fc.asyncProperty(offset, way(wholeWays), way(partWays), ends, run);
    await fc.assert(property, runs(kind === 'stall' ? 1 : 3));
  },
);

test('over sockets, three hosts drawn, read in any way: the bytes are right or the error is', async () => {
  const behaviours = fc.tuple(...[0, 1, 2].map(() => arbitraryBehaviour(large.bytes.length)));
  await fc.assert(fc.asyncProperty(behaviours, arbitraryPlan(large.bytes.length), checkOverSockets), {
    ...runs(15),
    endOnFailure: true,
  });
});

test('nothing is left open when all of it is over', async () => {
  await expect.poll(() => sockets.connections()).toBe(0);
});

test('a reading that is aborted reports how far it came, however short it was', async () => {
  const { large } = samples;
  const controller = new AbortController();
  const positions: number[] = [];
  const source: Source = {
    resolve: async () => large.descriptor,
    fetch: async (_, { signal } = {}) => {
      const chunks = (async function* () {
        yield large.bytes.slice(0, 100_000);
        await new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
      })();
      const body = Object.assign(chunks, { cancel: async () => {} });
      return { descriptor: large.descriptor, body, from: 'here' };
    },
  };
  const emit = (event: ClientEvent): void => {
    if (event.type === 'progress') positions.push(event.position);
  };
  const content = new Content({
    source,
    descriptor: large.descriptor,
    signals: [controller.signal],
    emit,
    liars: createLiars(),
  });
  const chunks = content[Symbol.asyncIterator]();
  await chunks.next();
  const next = chunks.next();
  controller.abort(new Error('enough'));
  await expect(next).rejects.toMatchObject({ code: 'ABORTED' });
  expect(positions).toEqual([100_000]);
});
