// Work in a process of its own, which a program of bench/tasks does and measures.
import { fileURLToPath } from 'node:url';
import { runCold } from './cold.ts';
import { type Costs, type Setting, type Way, withCounts } from './scenario.ts';

const program = (name: string): string =>
  fileURLToPath(new URL(`../tasks/${name}.${import.meta.url.split('.').at(-1)}`, import.meta.url));

/** Runs a program of bench/tasks: what it measured itself, without its start. */
async function runTask(name: string, task: object): Promise<Costs> {
  const { output } = await runCold([process.execPath, program(name), JSON.stringify(task)]);
  return JSON.parse(output) as Costs;
}

/** The same as a way of a scenario, with what a server counted. */
export const taskWay = (
  { work, name, program: task }: { readonly work: string; readonly name: string; readonly program: string },
  input: object,
  counts?: () => Promise<Costs>,
): Way => ({
  work,
  name,
  run: () => withCounts(counts, () => runTask(task, input)),
});

/** Bytes of the large blob. */
export const gigabyte = ({ isSmall }: Setting): number => (isSmall ? 2 ** 20 : 2 ** 30);
