import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Contestant, type Contests, contend, createContests } from '../src/contest.ts';
import type { RegistryError } from '../src/errors.ts';
import type { ClientEvent } from '../src/events.ts';
import { createStanding } from '../src/standing.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Milliseconds after which a place that has not settled is silent. */
const patience = 300;

interface Behaviour {
  /** Milliseconds until it settles. */
  readonly takes: number;
  readonly ends: 'answer' | 'failure' | 'end of all';
  /** Milliseconds after which its response begins, if that is before it settles. */
  readonly begins?: number;
}

interface World {
  readonly log: string[];
  /** Calls under way, by contest. */
  readonly running: Map<string, number>;
  /** Most calls that were under way besides one of each contest. */
  mostExtra: number;
  readonly contests: Contests;
  readonly events: ClientEvent[];
}

function world(): World {
  const events: ClientEvent[] = [];
  const standing = createStanding();
  const contests = createContests({ standing, emit: (event) => events.push(event) });
  return { log: [], running: new Map(), mostExtra: 0, contests, events };
}

const nameOf = (index: number): string => `https://${'abcdefgh'[index]}.test/v2`;

/** Places that behave so: `log` has what is done with them. */
const contestantsOf = (state: World, behaviours: readonly Behaviour[], id = ''): Contestant<string>[] => {
  const { log, running } = state;
  const count = (change: number): void => {
    running.set(id, (running.get(id) ?? 0) + change);
    const extra = [...running.values()].reduce((sum, calls) => sum + Math.max(0, calls - 1), 0);
    state.mostExtra = Math.max(state.mostExtra, extra);
  };
  return behaviours.map(({ takes, ends, begins = Infinity }, index) => {
    const name = `${id}${'abcdefgh'[index]}`;
    return {
      name: nameOf(index),
      giveUp: (error: RegistryError) => void log.push(`${name} given up: ${error.code}`),
      ask: (contest, isExtra) =>
        new Promise<string | undefined>((resolve, reject) => {
          log.push(`${name}${isExtra ? ' extra' : ''}`);
          count(1);
          contest?.onSent();
          let isSettled = false;
          const settle = (end: () => void): void => {
            for (const timer of timers) clearTimeout(timer);
            if (!isSettled) count(-1);
            isSettled = true;
            end();
          };
          const timers = [
            setTimeout(() => contest?.onSilent(patience), patience),
            ...(begins < takes ? [setTimeout(() => contest?.onSilent(0), begins)] : []),
            setTimeout(() => {
              settle(() => {
                if (ends === 'end of all') reject(new Error(name));
                else resolve(ends === 'answer' ? name : undefined);
              });
            }, takes),
          ];
          contest?.signal.addEventListener('abort', () => {
            log.push(`${name} aborted`);
            settle(() => resolve(undefined));
          });
        }),
    };
  });
};

async function outcomeOf(world: World, behaviours: readonly Behaviour[], isRanked = false) {
  const started = Date.now();
  const contest = contend(contestantsOf(world, behaviours), world.contests, isRanked);
  let took = 0;
  const result = contest.then(
    (answer) => answer,
    (error: Error) => `error of ${error.message}`,
  );
  void result.then(() => (took = Date.now() - started));
  await vi.runAllTimersAsync();
  return { result: await result, took, log: world.log };
}

const answers = (takes: number, begins?: number): Behaviour => ({
  takes,
  ends: 'answer',
  ...(begins !== undefined && { begins }),
});
const fails = (takes: number): Behaviour => ({ takes, ends: 'failure' });
const never = answers(1e9);

test('a place that answers in time is the only one that is asked', async () => {
  expect(await outcomeOf(world(), [answers(299), answers(1)])).toEqual({ result: 'a', took: 299, log: ['a'] });
});

test('places that fail in time are followed by the next one, none of which is extra', async () => {
  const { result, log } = await outcomeOf(world(), [fails(10), fails(10), answers(10)]);
  expect([result, log]).toEqual(['c', ['a', 'b', 'c']]);
});

test('while one is silent the next one is asked, too; its answer counts, the other one is given up and asked last', async () => {
  const state = world();
  const { result, took, log } = await outcomeOf(state, [never, answers(10)]);
  expect([result, took]).toEqual(['b', 310]);
  expect(log).toEqual(['a', 'b extra', 'a given up: ABORTED', 'a aborted']);
  expect(state.contests.standing.isLow(nameOf(0))).toBe(true);
  expect(state.events).toEqual([{ type: 'hedge', from: nameOf(0), to: nameOf(1), milliseconds: 300 }]);
});

test('the first answer counts, also that of the one that was silent, which keeps its place', async () => {
  const state = world();
  const { result, took, log } = await outcomeOf(state, [answers(320), answers(100)]);
  expect([result, took, log]).toEqual(['a', 320, ['a', 'b extra', 'b aborted']]);
  expect(state.contests.standing.isLow(nameOf(0))).toBe(false);
});

test('one that fails while another is asked leaves it alone, and if that is silent, the next one is asked, too', async () => {
  const { result, log } = await outcomeOf(world(), [fails(500), answers(1_000), answers(10)]);
  expect(log).toEqual(['a', 'b extra', 'c extra', 'b given up: ABORTED', 'b aborted']);
  expect(result).toBe('c');
  const failedExtra = await outcomeOf(world(), [answers(900), fails(10), fails(10)]);
  expect([failedExtra.result, failedExtra.took, failedExtra.log]).toEqual(['a', 900, ['a', 'b extra', 'c extra']]);
});

test('of two that are silent the earlier one is given up for the next, and the last two are waited for', async () => {
  const state = world();
  const { result, took, log } = await outcomeOf(state, [never, never, never, answers(5_000)]);
  expect(log).toEqual([
    'a',
    'b extra',
    'a given up: ABORTED',
    'a aborted',
    'c extra',
    'b given up: ABORTED',
    'b aborted',
    'd extra',
    'c given up: ABORTED',
    'c aborted',
  ]);
  expect([result, took]).toEqual(['d', 900 + 5_000]);
  expect([0, 1, 2, 3].map((index) => state.contests.standing.isLow(nameOf(index)))).toEqual([true, true, true, false]);
});

test('without an answer there is none, and nobody is blamed for being silent', async () => {
  const state = world();
  expect(await outcomeOf(state, [fails(800), fails(900)])).toMatchObject({ result: undefined, took: 1_200 });
  expect(state.contests.standing.isLow(nameOf(0))).toBe(false);
  expect(await outcomeOf(world(), [])).toMatchObject({ result: undefined });
});

test('what ends all ends the other call, too', async () => {
  const { result, log } = await outcomeOf(world(), [never, { takes: 10, ends: 'end of all' }, answers(1)]);
  expect([result, log]).toEqual(['error of b', ['a', 'b extra', 'a aborted']]);
});

test('where an earlier place knows better, its answer counts if it comes a third of the time later', async () => {
  const slow = await outcomeOf(world(), [answers(390), answers(10)], true);
  expect([slow.result, slow.took]).toEqual(['a', 390]);
  const late = await outcomeOf(world(), [answers(410), answers(10)], true);
  expect([late.result, late.took]).toEqual(['b', 400]);
  const failed = await outcomeOf(world(), [fails(350), answers(10)], true);
  expect([failed.result, failed.took]).toEqual(['b', 350]);
});

test('there, one whose response has begun is waited for, until it ends or fails', async () => {
  const slow = await outcomeOf(world(), [answers(2_000, 350), answers(10)], true);
  expect([slow.result, slow.took]).toEqual(['a', 2_000]);
  const broken = await outcomeOf(world(), [{ takes: 2_000, ends: 'failure', begins: 350 }, answers(10)], true);
  expect([broken.result, broken.took]).toEqual(['b', 2_000]);
});

test('of several contests one has an extra call; when it has found the silent place, the others leave that, too', async () => {
  const state = world();
  const contests = Array.from({ length: 5 }, (_, id) =>
    contend(contestantsOf(state, [never, answers(50)], `${id}`), state.contests),
  );
  await vi.runAllTimersAsync();
  expect(await Promise.all(contests)).toEqual(['0b', '1b', '2b', '3b', '4b']);
  expect(state.log.filter((line) => line.endsWith('extra'))).toEqual(['0b extra']);
  expect(state.events).toHaveLength(1);
});

test('the right to an extra call passes on when its contest ends', async () => {
  const state = world();
  const first = contend(contestantsOf(state, [answers(1_000), fails(200), fails(250)], '0'), state.contests);
  const second = contend(contestantsOf(state, [answers(9_000), answers(10)], '1'), state.contests);
  await vi.runAllTimersAsync();
  expect([await first, await second]).toEqual(['0a', '1b']);
  expect(state.log.indexOf('1b extra')).toBeGreaterThan(state.log.indexOf('0b extra'));
});

const arbitrary = fc.record({
  takes: fc.oneof(fc.integer({ min: 0, max: 1_500 }), fc.constantFrom(299, 300, 301, 399, 400, 401, 600, 9_999)),
  ends: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom('answer', 'failure') },
    { weight: 1, arbitrary: fc.constant('end of all') },
  ),
  begins: fc.option(fc.integer({ min: 0, max: 900 }), { nil: Infinity }),
}) as fc.Arbitrary<Behaviour>;

test('whatever places do: the first answer counts, each is asked once and in order, and there is one extra call at a time', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.array(arbitrary, { maxLength: 5 }), fc.boolean()), { minLength: 1, maxLength: 4 }),
      async (runs) => {
        const state = world();
        const ended = runs.map(([behaviours, isRanked], id) =>
          contend(contestantsOf(state, behaviours, `${id}`), state.contests, isRanked).catch((error: Error) => error),
        );
        await vi.runAllTimersAsync();
        const results = await Promise.all(ended);
        expect(state.mostExtra).toBeLessThanOrEqual(1);
        for (const [id, [behaviours]] of runs.entries()) {
          const own = state.log.filter((line) => line.startsWith(`${id}`));
          const asked = own.flatMap((line) => /^\d([a-h])(?: extra)?$/.exec(line)?.[1] ?? []);
          expect(asked.join('')).toBe('abcdefgh'.slice(0, asked.length));
          const result = results[id];
          const settled =
            typeof result === 'string' ? result.slice(1) : result instanceof Error ? result.message.slice(1) : '';
          if (result === undefined) {
            expect(asked).toHaveLength(behaviours.length);
          } else {
            expect(behaviours['abcdefgh'.indexOf(settled)]?.ends).toBe(
              result instanceof Error ? 'end of all' : 'answer',
            );
            if (typeof result === 'string') expect(own).not.toContain(`${result} aborted`);
          }
        }
        expect([...state.running.values()].every((calls) => calls === 0)).toBe(true);
        const release = state.contests.begin(() => undefined);
        expect(release).toBeDefined();
        release?.();
        expect(vi.getTimerCount()).toBe(0);
      },
    ),
    { numRuns: 300 },
  );
});
