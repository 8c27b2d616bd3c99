// What a scenario is. bench/support/rounds.ts runs them.
import type { Cleanup } from './cleanup.ts';

/** What one run cost, by column: `wall s`, `CPU s`, `peak MiB`, `requests/s`. */
export type Costs = Readonly<Record<string, number>>;

/** One way to do a piece of work. */
export interface Way {
  /** The work; ways of the same work are rows of one table. */
  readonly work: string;
  readonly name: string;
  run(): Promise<Costs>;
}

/** What a way is compared with, and how it has to compare. Without `than` it is the number itself that is compared. */
export interface Bar {
  readonly work: string;
  readonly column: string;
  readonly way: string;
  readonly than?: string;
  /** The work of `than`, if it is another one. */
  readonly thanWork?: string;
  /** Not how many times as much, but how much more. */
  readonly isDifference?: boolean;
  readonly least?: number;
  readonly most?: number;
  /** What would be better still. */
  readonly goal?: number;
}

export interface Setting {
  readonly cleanup: Cleanup;
  /** Tiny contents, to see that everything works. */
  readonly isSmall: boolean;
  /** Whether other programs are measured as well. */
  readonly hasPeers: boolean;
}

export interface Prepared {
  readonly ways: readonly Way[];
  /** Peers that this machine does not have. */
  readonly lacking: readonly string[];
}

export interface Scenario {
  /** One line. */
  readonly title: string;
  /** Of the tables, in their order. */
  readonly columns: readonly string[];
  readonly bars?: readonly Bar[];
  /** If one run takes so long that fewer rounds, and none to warm up, have to do. */
  readonly isSlow?: boolean;
  /** Makes content and starts servers. */
  prepare(setting: Setting): Promise<Prepared>;
}

/** Columns of most scenarios: what the client took, and what the server counted. */
export const clientColumns: readonly string[] = ['wall s', 'CPU s', 'peak MiB', 'requests', 'connections'];

/** What a run costs, with what a server counted during it. */
export async function withCounts(
  counts: (() => Promise<Costs>) | undefined,
  run: () => Promise<Costs>,
): Promise<Costs> {
  await counts?.();
  const costs = await run();
  return { ...costs, ...(await counts?.()) };
}
