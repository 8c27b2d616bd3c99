// Medians, and tables of them as Markdown.
import type { Costs } from './scenario.ts';

export const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;

/** Three digits, more if there are more before the point. */
const shown = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en') : value >= 10 ? value.toFixed(1) : value.toFixed(2);

/** The runs of each way as a row: medians with the least and the most. */
export function table(title: string, columns: readonly string[], runs: ReadonlyMap<string, readonly Costs[]>): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const cell = (costs: readonly Costs[], column: string): string => {
    const values = costs.flatMap((cost) => cost[column] ?? []);
    if (values.length === 0) return '';
    return `${shown(median(values))} (${shown(Math.min(...values))}–${shown(Math.max(...values))})`;
  };
  const rows = [...runs].map(([name, costs]) => line([name, ...columns.map((column) => cell(costs, column))]));
  return [line([title, ...columns]), line(['---', ...columns.map(() => '---')]), ...rows, ''].join('\n');
}
