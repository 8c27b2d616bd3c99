// Runs a scenario: each way once to warm up, then once a round, in another order each time (A B C, B C A, …).
import { createCleanup } from './cleanup.ts';
import type { Bar, Costs, Scenario, Way } from './scenario.ts';
import { type Outcome, outcomeOf, type Runs } from './table.ts';

export interface RoundsOptions {
  readonly rounds: number;
  readonly isSmall: boolean;
  readonly hasPeers: boolean;
  /** Is given a line for each run. */
  readonly log: (line: string) => void;
}

export interface Measurement {
  readonly lacking: readonly string[];
  readonly runs: Runs;
  readonly bars: readonly Outcome[];
}

/** A scenario that is slow runs at most so many rounds. */
const slowRounds = 3;

export async function measure(scenario: Scenario, options: RoundsOptions): Promise<Measurement> {
  const { isSmall, hasPeers } = options;
  const cleanup = createCleanup();
  const stop = (): void => void cleanup.close().then(() => process.exit(130));
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    const { ways, lacking } = await scenario.prepare({ cleanup, isSmall, hasPeers });
    const runs = await runAll(ways, scenario.isSlow ?? false, options);
    return { lacking, runs, bars: (scenario.bars ?? []).map((bar: Bar) => outcomeOf(bar, runs)) };
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await cleanup.close();
  }
}

async function runAll(ways: readonly Way[], isSlow: boolean, { rounds, log, isSmall }: RoundsOptions): Promise<Runs> {
  const works = new Map<string, Way[]>();
  for (const way of ways) works.set(way.work, [...(works.get(way.work) ?? []), way]);
  const runs = new Map([...works].map(([work, all]) => [work, new Map<string, Costs[]>(all.map(named))]));
  const first = isSlow || isSmall ? 1 : 0;
  const last = isSlow ? Math.min(rounds, slowRounds) : rounds;
  for (let round = first; round <= last; round += 1) {
    for (const [work, all] of works) {
      for (let index = 0; index < all.length; index += 1) {
        const way = all[(index + round) % all.length];
        if (!way) continue;
        const costs = await costsOf(way);
        log(`${round === 0 ? 'warm-up' : `round ${round}`}: ${work}, ${way.name}: ${costs['wall s']?.toFixed(3)} s`);
        if (round > 0) runs.get(work)?.get(way.name)?.push(costs);
      }
    }
  }
  return runs;
}

const named = ({ name }: Way): [string, Costs[]] => [name, []];

/** The costs of one run, and its wall time as `wall s` unless it has its own. */
async function costsOf(way: Way): Promise<Costs> {
  const started = performance.now();
  const costs = await way.run();
  return { 'wall s': (performance.now() - started) / 1000, ...costs };
}
