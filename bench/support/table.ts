// Medians, tables of them as Markdown, and what became of the bars.
import type { Bar, Costs } from './scenario.ts';

/** Runs by work, then by way, in the order of rounds. */
export type Runs = ReadonlyMap<string, ReadonlyMap<string, readonly Costs[]>>;

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;

/** Three digits, more if there are more before the point; counts as they are. */
const shown = (value: number): string =>
  value >= 100 || Number.isInteger(value)
    ? Math.round(value).toLocaleString('en')
    : value >= 10
      ? value.toFixed(1)
      : value.toFixed(value < 0.1 ? 3 : 2);

/** The runs of each way as a row: medians with the least and the most. */
export function table(title: string, columns: readonly string[], runs: ReadonlyMap<string, readonly Costs[]>): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const cell = (costs: readonly Costs[], column: string): string => {
    const values = costs.flatMap((cost) => cost[column] ?? []);
    if (values.length === 0) return '';
    const [least, most] = [Math.min(...values), Math.max(...values)];
    return least === most ? shown(least) : `${shown(median(values))} (${shown(least)}–${shown(most)})`;
  };
  const used = columns.filter((column) => [...runs.values()].some((costs) => costs.some((cost) => column in cost)));
  const rows = [...runs].map(([name, costs]) => line([name, ...used.map((column) => cell(costs, column))]));
  return [line([title, ...used]), line(['---', ...used.map(() => '---')]), ...rows, ''].join('\n');
}

/** What became of a bar: the median of the ratios (or differences) of the same round. */
export interface Outcome extends Bar {
  /** NaN if there is nothing to compare with. */
  readonly value: number;
  readonly isMet: boolean;
  readonly meetsGoal: boolean;
}

export function outcomeOf(bar: Bar, runs: Runs): Outcome {
  const { work, column, way, than, thanWork = work, isDifference, least, most, goal } = bar;
  const own = runs.get(work)?.get(way) ?? [];
  const other = than === undefined ? undefined : (runs.get(thanWork)?.get(than) ?? []);
  const values = own.flatMap((cost, round) => {
    const value = cost[column] ?? Number.NaN;
    if (!other) return [value];
    const base = other[round]?.[column];
    return base === undefined ? [] : [isDifference ? value - base : value / base];
  });
  const value = median(values);
  const holds = (limit: number): boolean => (least === undefined ? value <= limit : value >= limit);
  return {
    ...bar,
    value,
    isMet: holds(least ?? most ?? Number.NaN),
    meetsGoal: goal !== undefined && holds(goal),
  };
}

/** `- 40 layers, plain, wall s: ocifetch is 1.52 × crane (at most 1.9: met; goal 1.4: not met)` */
export function barLine(outcome: Outcome): string {
  const { work, column, way, than, thanWork, isDifference, least, most, goal, value, isMet, meetsGoal } = outcome;
  const base = `${than}${thanWork ? ` (${thanWork})` : ''}`;
  if (Number.isNaN(value)) return `- ${work}, ${column}: ${way} cannot be compared${than ? ` with ${base}` : ''}`;
  const number = value.toFixed(Math.abs(value) < 0.1 ? 3 : 2);
  const found =
    than === undefined ? number : isDifference ? `${value < 0 ? '' : '+'}${number} to ${base}` : `${number} × ${base}`;
  const limit = least === undefined ? `at most ${most}` : `at least ${least}`;
  const aim = goal === undefined ? '' : `; goal ${goal}: ${meetsGoal ? 'met' : 'not met'}`;
  return `- ${work}, ${column}: ${way} is ${found} (${limit}: ${isMet ? 'met' : 'not met'}${aim})`;
}
