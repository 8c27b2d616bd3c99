import { expect, test } from 'vitest';
import { bytesBody } from '../src/body.ts';
import { askInTurn, combineErrors, failedBefore, firstOf, orElse } from '../src/combine.ts';
import { type Attempt, printable } from '../src/endpoint.ts';
import { cannot, type ErrorCode, RegistryError } from '../src/errors.ts';
import type { CallOptions, FetchOptions, Source } from '../src/source.ts';
import { endpointOf, failsWith, failureOf, textOf } from './support/http.ts';

const target = { mediaType: 'text/plain', digest: `sha256:${'0'.repeat(64)}`, size: 4 } as const;

const attemptAt = (host: string, outcome: string): Attempt => ({
  ...printable(endpointOf(`https://${host}/v2`)),
  host,
  method: 'GET',
  request: `https://${host}/v2/`,
  outcome,
  duration: 1,
  bytes: 0,
});

/** A source that fails with this code, or answers, and writes down that it was asked. */
function place(name: string, log: string[], code?: ErrorCode | Error): Source {
  const answer = <T>(options: CallOptions | FetchOptions | undefined, value: T): Promise<T> => {
    log.push(options?.more ? `${name}, more` : name);
    if (code === undefined) return Promise.resolve(value);
    if (code instanceof Error) return Promise.reject(code);
    const details = { status: 400, host: name, attempts: [attemptAt(name, code)] };
    return Promise.reject(new RegistryError(code, `${name} says ${code}`, details));
  };
  return {
    name,
    resolve: (_reference, options) => answer(options, target),
    fetch: (descriptor, options) =>
      answer(options, { descriptor, body: bytesBody(new TextEncoder().encode(name)), from: name }),
  };
}

test('sources are asked in order until one answers, each told whether another is left', async () => {
  const log: string[] = [];
  const source = firstOf(
    place('a', log, 'NOT_FOUND'),
    place('b', log, 'UNAVAILABLE'),
    place('c', log),
    place('d', log),
  );
  expect(await source.resolve('latest')).toBe(target);
  expect(log.splice(0)).toEqual(['a, more', 'b, more', 'c, more']);
  const fetched = await source.fetch(target);
  expect([fetched.from, await textOf(fetched)]).toEqual(['c', 'c']);
  expect(log).toEqual(['a, more', 'b, more', 'c, more']);
});

test('the last one is told that no other is left, unless its asker has one', async () => {
  const log: string[] = [];
  const source = firstOf(place('a', log, 'NOT_FOUND'), place('b', log));
  await source.fetch(target);
  await source.resolve('latest', { more: false });
  await source.resolve('latest', { more: true });
  expect(log).toEqual(['a, more', 'b', 'a, more', 'b', 'a, more', 'b, more']);
  log.length = 0;
  await firstOf(firstOf(place('a', log, 'NOT_FOUND'), place('b', log, 'NOT_FOUND')), place('c', log)).fetch(target);
  expect(log).toEqual(['a, more', 'b, more', 'c']);
});

test('options reach each source as they are', async () => {
  const seen: unknown[] = [];
  const source: Source = {
    resolve: async (_reference, options) => {
      seen.push(options);
      return target;
    },
    fetch: async (descriptor, options) => {
      seen.push(options);
      return { descriptor, body: bytesBody(new Uint8Array()), from: 'a' };
    },
  };
  const { signal } = new AbortController();
  const onWarning = () => undefined;
  await firstOf(source).resolve('latest', { signal, content: true, onWarning });
  await firstOf(source).fetch(target, { signal, range: { start: 1 }, last: ['x'], except: ['y'] });
  expect(seen).toEqual([
    { signal, content: true, onWarning, more: false },
    { signal, range: { start: 1 }, last: ['x'], except: ['y'], more: false },
  ]);
});

test('those to be asked last come last in the order that is given, those excepted not at all', async () => {
  const log: string[] = [];
  const names = ['a', 'b', 'c', 'd'];
  const source = firstOf(...names.map((name) => place(name, log, 'NOT_FOUND')));
  const order = async (options: FetchOptions) => {
    log.length = 0;
    await failureOf(source.fetch(target, options));
    return log.map((line) => line.replace(', more', '')).join(' ');
  };
  expect(await order({})).toBe('a b c d');
  expect(await order({ last: ['a'] })).toBe('b c d a');
  expect(await order({ last: ['c', 'a'] })).toBe('b d c a');
  expect(await order({ last: ['x', 'b'], except: ['d', 'y'] })).toBe('a c b');
  expect(log.at(-1)).toBe('b');
  expect(await order({ last: ['a'], except: ['a'] })).toBe('b c d');
  const none = await failureOf(source.fetch(target, { except: names }));
  expect(none).toEqual(failsWith('NO_HOSTS', { message: expect.stringContaining(target.digest) }));
});

test('without sources it is NO_HOSTS, and says what for', async () => {
  const error = await failureOf(firstOf().resolve('latest'));
  expect(error).toEqual(failsWith('NO_HOSTS', { message: 'Cannot resolve "latest": no host is left' }));
});

test('ABORTED stops the asking, and so does a signal that has fired', async () => {
  const log: string[] = [];
  const aborted = firstOf(place('a', log, 'ABORTED'), place('b', log));
  expect(await failureOf(aborted.fetch(target))).toEqual(failsWith('ABORTED'));
  const controller = new AbortController();
  const firing = place('a', log, 'TIMEOUT');
  const source = firstOf(
    {
      ...firing,
      fetch: (descriptor, options) => {
        controller.abort();
        return firing.fetch(descriptor, options);
      },
    },
    place('b', log),
  );
  expect(await failureOf(source.fetch(target, { signal: controller.signal }))).toEqual(failsWith('TIMEOUT'));
  expect(log).toEqual(['a, more', 'a, more']);
});

test('once the signal has fired, whatever a source throws is ABORTED, with the reason and the attempts until then', async () => {
  const log: string[] = [];
  const controller = new AbortController();
  const reason = new Error('enough');
  const failing: Source = {
    ...place('b', log),
    fetch: () => {
      controller.abort(reason);
      return Promise.reject(new TypeError('socket hang up'));
    },
  };
  const source = firstOf(place('a', log, 'UNAVAILABLE'), failing, place('c', log));
  const error = (await failureOf(source.fetch(target, { signal: controller.signal }))) as RegistryError;
  expect(error).toEqual(failsWith('ABORTED', { host: 'a', cause: reason }));
  expect(error.attempts.map(({ host }) => host)).toEqual(['a']);
  expect(log).toEqual(['a, more']);
});

test('with a signal that has fired nobody is asked', async () => {
  const log: string[] = [];
  const reason = new Error('enough');
  const signal = AbortSignal.abort(reason);
  const source = firstOf(place('a', log));
  for (const call of [() => source.fetch(target, { signal }), () => source.resolve('latest', { signal })]) {
    expect(await failureOf(call())).toEqual(failsWith('ABORTED', { cause: reason }));
  }
  expect(log).toEqual([]);
});

test('what answers tells what failed before it, with the name of who failed', async () => {
  const log: string[] = [];
  const inner = firstOf(place('b', log, 'DENIED'), place('c', log));
  const fetched = await firstOf(place('a', log, 'UNAVAILABLE'), inner).fetch(target);
  expect(failedBefore(fetched).map(({ from, error }) => `${from} ${error.code}`)).toEqual([
    'a UNAVAILABLE',
    'b DENIED',
  ]);
  expect(failedBefore(await place('c', log).fetch(target))).toEqual([]);
});

test('orElse asks the second where a host of the first has it not, the first as if it were alone', async () => {
  const log: string[] = [];
  const asked = async (...first: (ErrorCode | undefined)[]): Promise<string> => {
    log.length = 0;
    const hosts = first.map((code, index) => place(`host ${index}`, log, code));
    const source = orElse(firstOf(...hosts), place('else', log));
    const outcomes = [source.fetch(target), source.resolve('latest')].map((call) =>
      call.then(
        () => 'ok',
        ({ code }) => code,
      ),
    );
    return [...(await Promise.all(outcomes)), ...new Set(log)].join('; ');
  };
  expect(await asked(undefined)).toBe('ok; ok; host 0');
  expect(await asked('NOT_FOUND')).toBe('ok; ok; host 0; else');
  expect(await asked('NOT_FOUND', 'NOT_FOUND')).toBe('ok; ok; host 0, more; host 1; else');
  // Who is down says nothing; the other one may have it under its other kind.
  expect(await asked('UNAVAILABLE', 'NOT_FOUND')).toBe('ok; ok; host 0, more; host 1; else');
  expect(await asked('UNAVAILABLE')).toBe('UNAVAILABLE; UNAVAILABLE; host 0');
  expect(await asked('DENIED', 'TIMEOUT')).toBe('DENIED; DENIED; host 0, more; host 1');
});

test('when both of orElse fail, both are told; NOT_FOUND only where both say so', async () => {
  const log: string[] = [];
  const of = async (code: ErrorCode) =>
    (await failureOf(orElse(place('a', log, 'NOT_FOUND'), place('b', log, code)).fetch(target))) as RegistryError;
  const both = await of('NOT_FOUND');
  expect([both.code, both.attempts.map(({ host }) => host)]).toEqual(['NOT_FOUND', ['a', 'b']]);
  expect((await of('DENIED')).code).toBe('DENIED');
  expect(await failureOf(orElse(place('a', log, 'ABORTED'), place('b', log)).fetch(target))).toEqual(
    failsWith('ABORTED'),
  );
});

test('a message is bounded, and says what was attempted once', () => {
  const doing = 'resolve "1.9"';
  const errors = ['a', 'b'].map((host) => cannot('NOT_FOUND', doing, `not at ${host}`));
  expect(combineErrors(doing, errors).message).toBe('Cannot resolve "1.9": not at a; not at b');
  const many = Array.from({ length: 500 }, (_, index) => new RegistryError('TIMEOUT', `host ${index} said nothing`));
  const { message } = combineErrors(doing, many);
  expect(message.length).toBeLessThanOrEqual(2_000);
  expect(message).toMatch(/^Cannot resolve "1\.9": host 0 said nothing; .*…$/);
});

test('a failure of another kind moves on too, and is told', async () => {
  const log: string[] = [];
  const fault = new TypeError('it has a bug');
  expect((await firstOf(place('a', log, fault), place('b', log)).fetch(target)).from).toBe('b');
  const error = await failureOf(firstOf(place('a', log, fault)).fetch(target));
  expect(error).toEqual(failsWith('UNAVAILABLE', { message: expect.stringContaining('it has a bug'), cause: fault }));
});

test('when all fail, the error tells each, with every attempt', async () => {
  const log: string[] = [];
  const source = firstOf(
    place('a', log, 'NOT_FOUND'),
    place('b', log, 'DENIED'),
    place('c', log, 'UNAVAILABLE'),
    place('c', log, 'UNAVAILABLE'),
  );
  const error = (await failureOf(source.fetch(target))) as RegistryError;
  expect(error).toEqual(failsWith('DENIED', { status: 400, host: 'b', cause: failsWith('DENIED') }));
  expect(error.message).toBe(`Cannot fetch "${target.digest}": a says NOT_FOUND; b says DENIED; c says UNAVAILABLE`);
  expect(error.attempts.map(({ host, outcome }) => `${host} ${outcome}`)).toEqual([
    'a NOT_FOUND',
    'b DENIED',
    'c UNAVAILABLE',
    'c UNAVAILABLE',
  ]);
});

/** What is told of two hosts, first the one that got furthest. */
const ranking: readonly ErrorCode[] = [
  'DIGEST_MISMATCH',
  'TOO_LARGE',
  'UNEXPECTED_END',
  'DECODE_ERROR',
  'UNSUPPORTED_ENCODING',
  'BAD_RESPONSE',
  'UNSAFE_URL',
  'TOO_MANY_REDIRECTS',
  'UNAUTHORIZED',
  'DENIED',
  'RATE_LIMITED',
  'TIMEOUT',
  'UNAVAILABLE',
  'NOT_FOUND',
];

test('of each pair of codes, in both orders, the one that got furthest is told', () => {
  const errorOf = (code: ErrorCode): RegistryError => new RegistryError(code, code);
  for (const [index, further] of ranking.entries()) {
    for (const nearer of ranking.slice(index)) {
      expect(combineErrors('it', [errorOf(further), errorOf(nearer)]).code).toBe(further);
      expect(combineErrors('it', [errorOf(nearer), errorOf(further)]).code).toBe(further);
    }
  }
  const all = [...ranking].reverse().map(errorOf);
  expect(combineErrors('it', all).code).toBe('DIGEST_MISMATCH');
});

test('NOT_FOUND only where every one says so', () => {
  for (const code of ['UNAVAILABLE', 'INVALID_REWRITE', 'UNSUPPORTED', 'CLOSED'] as const) {
    const errors = [new RegistryError('NOT_FOUND', 'a'), new RegistryError(code, 'b')];
    expect(combineErrors('it', errors).code).toBe(code);
  }
  const missing = [new RegistryError('NOT_FOUND', 'a'), new RegistryError('NOT_FOUND', 'b')];
  expect(combineErrors('it', missing)).toEqual(failsWith('NOT_FOUND', { message: 'Cannot it: a; b' }));
});

test('places of any kind are asked in turn, and what failed before the answer is told', async () => {
  const log: string[] = [];
  const source = (name: string, code?: ErrorCode) => ({
    name,
    count: async ({ more }: CallOptions): Promise<number> => {
      log.push(`${name} ${more}`);
      if (code) throw new RegistryError(code, `${name} says ${code}`);
      return name.length;
    },
  });
  const sources = [source('a', 'NOT_FOUND'), source('bb', 'DENIED'), source('ccc')];
  const ask = (one: (typeof sources)[number], options: CallOptions): Promise<number> => one.count(options);
  const { result, failed } = await askInTurn({ attempted: 'count', sources, ask });
  expect([result, failed.map(({ from, error }) => `${from} ${error.code}`)]).toEqual([3, ['a NOT_FOUND', 'bb DENIED']]);
  expect(log).toEqual(['a true', 'bb true', 'ccc false']);
  const all = askInTurn({ attempted: 'count', sources: sources.slice(0, 2), ask });
  expect(await failureOf(all)).toEqual(
    failsWith('DENIED', { message: 'Cannot count: a says NOT_FOUND; bb says DENIED' }),
  );
  const none = askInTurn({ attempted: 'count', sources: [], ask });
  expect(await failureOf(none)).toEqual(failsWith('NO_HOSTS'));
});

test('one error alone is told as it is', () => {
  const error = new RegistryError('DENIED', 'no', { host: 'a' });
  expect(combineErrors('it', [error])).toBe(error);
});
