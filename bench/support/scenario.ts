// What a scenario is. bench/main.ts runs them.
import type { Cleanup } from './cleanup.ts';

/** What one run cost, by column: `requests/s`, `CPU µs`, `peak MiB`. */
export type Costs = Readonly<Record<string, number>>;

/** One way to do a piece of work. */
export interface Way {
  /** The work; ways of the same work are rows of one table. */
  readonly work: string;
  readonly name: string;
  run(): Promise<Costs>;
}

export interface Scenario {
  /** One line. */
  readonly title: string;
  /** Of the tables, in their order. */
  readonly columns: readonly string[];
  /** What is to be at least how many times as much as what. */
  readonly bars?: readonly {
    readonly work: string;
    readonly column: string;
    readonly way: string;
    readonly than: string;
    readonly least: number;
  }[];
  /** Makes content and starts servers. `lacking`: peers that this machine does not have. */
  prepare(cleanup: Cleanup): Promise<{ readonly ways: readonly Way[]; readonly lacking: readonly string[] }>;
}

/** The costs of one run, and its wall time as `wall s` unless it has its own. */
export async function costsOf(way: Way): Promise<Costs> {
  const started = performance.now();
  const costs = await way.run();
  return { 'wall s': (performance.now() - started) / 1000, ...costs };
}
