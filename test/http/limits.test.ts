import fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createBody } from '../../src/body.ts';
import type { ClientEvent } from '../../src/events.ts';
import { health } from '../../src/http/health.ts';
import { limits } from '../../src/http/limits.ts';
import { type HttpResponse, type Transport, wrap } from '../../src/http/transport.ts';
import { failsWith, failureOf, recording, textOf } from '../support/http.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));
const get = (url: string, signal?: AbortSignal) => ({ method: 'GET', url, signal });

test('a slot is held to the end of the body, and then the next in line is sent', async () => {
  const { transport, log } = recording(() => ({ body: 'text' }));
  const send = limits({ concurrency: 1 })(transport);
  const first = await send(get('https://a.test/1'));
  const waiting = ['2', '3'].map((path) => send(get(`https://a.test/${path}`)));
  await send(get('https://b.test/1'));
  await turn();
  expect(log).toEqual(['GET https://a.test/1', 'GET https://b.test/1']);
  expect(await textOf(first)).toBe('text');
  await turn();
  expect(log.at(-1)).toBe('GET https://a.test/2');
  await (await waiting[0])?.body.cancel();
  await turn();
  expect(log.at(-1)).toBe('GET https://a.test/3');
  await (await waiting[1])?.body.cancel();
});

test('a request that fails gives its slot back', async () => {
  let count = 0;
  const send = limits({ concurrency: 1 })(() => {
    count += 1;
    return Promise.reject(new Error(`no ${count}`));
  });
  const calls = ['1', '2', '3'].map((path) => failureOf(send(get(`https://a.test/${path}`))));
  expect((await Promise.all(calls)).map(String)).toEqual(['Error: no 1', 'Error: no 2', 'Error: no 3']);
});

test('eight at a time by default; ports make origins', async () => {
  const { transport, log } = recording(() => ({ body: 'text' }));
  const send = limits()(transport);
  const calls = Array.from({ length: 12 }, (_, index) => send(get(`https://a.test/${index}`)));
  await turn();
  expect(log.length).toBe(8);
  await send(get('https://a.test:444/'));
  expect(log.length).toBe(9);
  for (const call of calls) await textOf(await call);
  expect(log.length).toBe(13);
});

test('32 small contents of a copy at a time, and others only while there are fewer than eight', async () => {
  const { transport, log } = recording(() => ({ body: 'text' }));
  const send = limits()(transport);
  const small = Array.from({ length: 40 }, (_, index) => send({ ...get(`https://a.test/${index}`), oneOfMany: 32 }));
  const other = send(get('https://a.test/other'));
  await turn();
  expect(log.length).toBe(32);
  for (const call of small.slice(0, 32)) await textOf(await call);
  expect(log.length).toBe(40);
  for (const call of small.slice(32, 33)) await textOf(await call);
  await turn();
  expect(log.length).toBe(41);
  await textOf(await other);
});

test('a configured number of exchanges is for small contents, too', async () => {
  const { transport, log } = recording(() => ({ body: 'text' }));
  const send = limits({ concurrency: 2 })(transport);
  const calls = Array.from({ length: 4 }, (_, index) => send({ ...get(`https://a.test/${index}`), oneOfMany: 32 }));
  await turn();
  expect(log.length).toBe(2);
  for (const call of calls) await textOf(await call);
});

test('a body that is aborted unread gives its slot back', async () => {
  const { transport } = recording(() => ({ body: 'text' }));
  const send = limits({ concurrency: 1 })(transport);
  const controller = new AbortController();
  await send(get('https://a.test/1', controller.signal));
  const next = send(get('https://a.test/2'));
  controller.abort();
  expect(await textOf(await next)).toBe('text');
});

test('a transport that does not report the ends of its bodies is limited as well', async () => {
  let open = 0;
  let most = 0;
  const transport: Transport = async ({ url }) => {
    open += 1;
    most = Math.max(most, open);
    const { body } = createBody({ next: () => undefined, cancel: () => undefined });
    const counted = {
      cancel: async () => {
        open -= 1;
      },
      async *[Symbol.asyncIterator]() {
        yield* body;
        open -= 1;
      },
    };
    return { status: 200, headers: {}, body: counted, url };
  };
  const send = limits({ concurrency: 2 })(transport);
  await Promise.all(
    Array.from({ length: 9 }, async (_, index) => {
      const response = await send(get('https://a.test/'));
      if (index % 2 === 0) await textOf(response);
      else await response.body.cancel();
    }),
  );
  expect([open, most]).toEqual([0, 2]);
});

/** What happens to one request, at which turn of the loop. */
interface Fate {
  readonly starts: number;
  readonly aborts: number | undefined;
  readonly lasts: number;
  readonly end: 'read' | 'cancel' | 'fail';
}

const fate: fc.Arbitrary<Fate> = fc.record({
  starts: fc.nat(6),
  aborts: fc.option(fc.nat(10), { nil: undefined }),
  lasts: fc.nat(3),
  end: fc.constantFrom('read', 'cancel', 'fail'),
});

test('never more than the limit, in order of arrival, and no slot is lost, wherever a signal fires', async () => {
  const check = async (fates: Fate[], concurrency: number) => {
    let open = 0;
    let most = 0;
    const entered: number[] = [];
    const transport: Transport = async ({ url, signal }): Promise<HttpResponse> => {
      open += 1;
      most = Math.max(most, open);
      const index = Number(url.split('/').at(-1));
      entered.push(index);
      for (let count = fates[index]?.lasts ?? 0; count > 0; count -= 1) await turn();
      if (signal?.aborted || fates[index]?.end === 'fail') {
        open -= 1;
        throw new Error('failed');
      }
      const made = createBody({ next: () => undefined, cancel: () => undefined }, { signal });
      void made.ended.then(() => {
        open -= 1;
      });
      return { status: 200, headers: {}, ...made, url };
    };
    const send = limits({ concurrency })(transport);
    const arrived: number[] = [];
    const run = async ({ starts, aborts, end }: Fate, index: number): Promise<void> => {
      const controller = new AbortController();
      for (let count = 0; count < starts; count += 1) await turn();
      if (aborts !== undefined) {
        void (async () => {
          for (let count = 0; count < aborts; count += 1) await turn();
          controller.abort(new Error('enough'));
        })();
      }
      arrived.push(index);
      const response = await send(get(`https://a.test/${index}`, controller.signal));
      if (end === 'cancel') await response.body.cancel();
      else await textOf(response);
    };
    await Promise.all(fates.map((each, index) => run(each, index).catch(() => undefined)));
    await turn();
    expect(open).toBe(0);
    expect(most).toBeLessThanOrEqual(concurrency);
    expect(entered).toEqual(arrived.filter((index) => entered.includes(index)));
    const after = await Promise.all(Array.from({ length: concurrency }, () => send(get('https://a.test/9999'))));
    expect(open, 'all slots are free again').toBe(concurrency);
    for (const response of after) await response.body.cancel();
  };
  await fc.assert(fc.asyncProperty(fc.array(fate, { maxLength: 12 }), fc.integer({ min: 1, max: 3 }), check), {
    numRuns: 150,
  });
});

test('a wait in line ends with ABORTED as soon as the signal fires, and was never sent', async () => {
  const { transport, log } = recording(() => ({ body: 'text' }));
  const send = limits({ concurrency: 1 })(transport);
  const first = await send(get('https://a.test/1'));
  const controller = new AbortController();
  const waiting = failureOf(send(get('https://a.test/2', controller.signal)));
  const late = failureOf(send(get('https://a.test/3', AbortSignal.abort('enough'))));
  await turn();
  const reason = new Error('enough');
  controller.abort(reason);
  expect(await waiting).toEqual(failsWith('ABORTED', { cause: reason }));
  expect(await late).toEqual(failsWith('ABORTED'));
  await first.body.cancel();
  await textOf(await send(get('https://a.test/4')));
  expect(log).toEqual(['GET https://a.test/1', 'GET https://a.test/4']);
});

test('a request that waits for bodies that nobody reads is reported, and ends with TIMEOUT', async () => {
  const events: ClientEvent[] = [];
  const { transport, log } = recording(() => ({ body: 'text' }));
  const send = limits({ concurrency: 2, unread: 8_000, emit: (event) => events.push(event) })(transport);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const held = [await send(get('https://a.test/1?token=secret')), await send(get('https://a.test/2'))];
  const waiting = [3, 4].map((path) => failureOf(send(get(`https://a.test/${path}`))));
  await vi.advanceTimersByTimeAsync(4_900);
  expect(events).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  const names = expect.stringMatching(/: GET "https:\/\/a\.test\/1\?[^"]*", GET "https:\/\/a\.test\/2"$/);
  expect(events, 'one for all that wait').toEqual([{ type: 'warning', host: 'a.test', text: names }]);
  expect(JSON.stringify(events)).not.toContain('secret');
  await vi.advanceTimersByTimeAsync(3_000);
  for (const error of await Promise.all(waiting)) {
    expect(error).toEqual(failsWith('TIMEOUT', { reason: 'unread', host: 'a.test', message: names }));
  }
  expect([log.length, vi.getTimerCount()]).toEqual([2, 0]);
  for (const response of held) await response.body.cancel();
  await textOf(await send(get('https://a.test/5')));
});

test('a wait for a body that is read, or waited for, has no limit', async () => {
  let give = (_chunk: Uint8Array | undefined): void => {};
  const next = () =>
    new Promise<Uint8Array | undefined>((resolve) => {
      give = resolve;
    });
  const send = limits({ concurrency: 1, unread: 8_000 })(async ({ url }) => {
    return { status: 200, headers: {}, ...createBody({ next, cancel: () => {} }), url };
  });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const first = (await send(get('https://a.test/1'))).body[Symbol.asyncIterator]();
  const second = send(get('https://a.test/2'));
  for (let count = 0; count < 5; count += 1) {
    await vi.advanceTimersByTimeAsync(7_000);
    const chunk = first.next();
    await vi.advanceTimersByTimeAsync(20_000);
    give(new Uint8Array(1));
    await chunk;
  }
  const end = first.next();
  give(undefined);
  await end;
  await (await second).body.cancel();
  expect(vi.getTimerCount()).toBe(0);
});

test('a host is not taken for dead because nobody reads', async () => {
  const { transport } = recording(() => ({ body: 'text' }));
  const send = wrap(transport, health(), limits({ concurrency: 1, unread: 20 }));
  const held = await send(get('https://a.test/1'));
  expect(await failureOf(send(get('https://a.test/2')))).toEqual(failsWith('TIMEOUT'));
  await held.body.cancel();
  expect(await textOf(await send({ ...get('https://a.test/3'), more: true }))).toBe('text');
});

test('an endpoint may allow fewer at a time than the client', async () => {
  const { transport, log } = recording(() => ({ body: 'text' }));
  const send = limits({ concurrency: 4 })(transport);
  const endpoint = { url: 'https://a.test/v2', repository: 'x', scopes: [], capabilities: [], concurrency: 1 };
  const first = await send({ ...get('https://a.test/1'), endpoint });
  const second = send({ ...get('https://a.test/2'), endpoint });
  await turn();
  expect(log).toEqual(['GET https://a.test/1']);
  await first.body.cancel();
  await (await second).body.cancel();
});

test('an endpoint may limit requests per second', async () => {
  const { transport } = recording(() => ({ body: 'text' }));
  const send = limits()(transport);
  const endpoint = { url: 'https://a.test/v2', repository: 'x', scopes: [], capabilities: [], requestsPerSecond: 20 };
  const started = performance.now();
  for (let count = 0; count < 4; count += 1) {
    await (await send({ ...get('https://a.test/x'), endpoint })).body.cancel();
  }
  expect(performance.now() - started).toBeGreaterThanOrEqual(140);
});

test('small contents do not overtake what waits', async () => {
  const { transport, log } = recording(() => ({ body: 'text' }));
  const send = limits()(transport);
  const small = (name: string) => send({ ...get(`https://a.test/${name}`), oneOfMany: 32 });
  const first = Array.from({ length: 32 }, (_, index) => small(`first ${index}`));
  await turn();
  const other = send(get('https://a.test/other'));
  for (const call of first.slice(0, 10)) await textOf(await call);
  const later = Array.from({ length: 5 }, (_, index) => small(`later ${index}`));
  await turn();
  expect(log).toHaveLength(32);
  for (const call of first.slice(10)) await textOf(await call);
  await turn();
  expect(log[32]).toBe('GET https://a.test/other');
  expect(log).toHaveLength(38);
  for (const call of [other, ...later]) await textOf(await call);
});

test('what waits behind a request that is aborted may be sent at once', async () => {
  const { transport, log } = recording(() => ({ body: 'text' }));
  const send = limits()(transport);
  const small = (name: string) => send({ ...get(`https://a.test/${name}`), oneOfMany: 32 });
  const first = Array.from({ length: 20 }, (_, index) => small(`${index}`));
  await turn();
  const controller = new AbortController();
  const other = failureOf(send(get('https://a.test/other', controller.signal)));
  const later = small('later');
  await turn();
  expect(log).toHaveLength(20);
  controller.abort();
  await other;
  await turn();
  expect(log).toHaveLength(21);
  for (const call of [...first, later]) await textOf(await call);
});
