// Measures ocifetch beside other programs of this machine, in the same run.
// Usage: npm run bench -- [NAME…] [--rounds N]; without a name it lists what there is.
// A scenario is a file of bench/scenarios with an export `scenario`: what it is, its columns, and the ways to do the work. Each
// way is run once to warm up, then once a round, in another order each time (A B C, B C A, …). Prints medians with least–most.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { cpus } from 'node:os';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createCleanup } from './support/cleanup.ts';
import { type Costs, costsOf, type Scenario } from './support/scenario.ts';
import { median, table } from './support/table.ts';

/** Older benchmarks, programs of their own, which print what they measure. */
const programs = ['blob', 'decode', 'files', 'pull', 'transports'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '5' } },
});
const rounds = Number(values.rounds);

async function scenarioNames(): Promise<string[]> {
  const files = await readdir(new URL('./scenarios/', import.meta.url));
  return files.flatMap((file) => (file.endsWith('.js') ? [basename(file, '.js')] : [])).sort();
}

async function load(name: string): Promise<Scenario> {
  const { scenario } = (await import(`./scenarios/${name}.js`)) as { readonly scenario: Scenario };
  return scenario;
}

async function measure(name: string): Promise<void> {
  const scenario = await load(name);
  const cleanup = createCleanup();
  try {
    const { ways, lacking } = await scenario.prepare(cleanup);
    console.log(`\n## ${name}: ${scenario.title}\n`);
    for (const what of lacking) console.log(`Left out: ${what}`);
    const costs = new Map<string, Costs[]>();
    for (let round = 0; round <= rounds; round += 1) {
      for (let index = 0; index < ways.length; index += 1) {
        const way = ways[(index + round) % ways.length];
        if (!way) continue;
        const cost = await costsOf(way);
        process.stderr.write(`${round === 0 ? 'warm-up' : `round ${round}`}: ${way.work}, ${way.name}\n`);
        if (round > 0) costs.set(`${way.work}\n${way.name}`, [...(costs.get(`${way.work}\n${way.name}`) ?? []), cost]);
      }
    }
    for (const work of new Set(ways.map((way) => way.work))) {
      const rows = ways.filter((way) => way.work === work);
      console.log(
        table(work, scenario.columns, new Map(rows.map((way) => [way.name, costs.get(`${work}\n${way.name}`) ?? []]))),
      );
    }
    for (const bar of scenario.bars ?? []) console.log(barLine(bar, costs));
  } finally {
    await cleanup.close();
  }
}

/** Whether a bar is held: the median of the ratios of the same round. */
function barLine(
  { work, column, way, than, least }: NonNullable<Scenario['bars']>[number],
  costs: ReadonlyMap<string, readonly Costs[]>,
): string {
  const [own, other] = [way, than].map((name) => costs.get(`${work}\n${name}`) ?? []);
  const ratios = (own ?? []).flatMap((cost, round) => {
    const base = other?.[round]?.[column];
    return base === undefined ? [] : [(cost[column] ?? Number.NaN) / base];
  });
  if (ratios.length === 0) return `- ${work}, ${column}: ${way} cannot be compared with ${than}`;
  const ratio = median(ratios);
  return `- ${work}, ${column}: ${way} is ${ratio.toFixed(2)} × ${than} (${ratio >= least ? '' : 'not '}at least ${least})`;
}

async function runProgram(name: string): Promise<void> {
  const child = spawn(process.execPath, [fileURLToPath(new URL(`./${name}.js`, import.meta.url))], {
    stdio: 'inherit',
  });
  const [status] = (await once(child, 'exit')) as [number | null];
  if (status !== 0) process.exitCode = 1;
}

const names = await scenarioNames();
const unknown = positionals.filter((name) => !names.includes(name) && !programs.includes(name));
if (positionals.length === 0 || unknown.length > 0 || !(rounds >= 1)) {
  for (const name of unknown) console.error(`There is no benchmark "${name}"`);
  for (const name of names) console.log(`${name.padEnd(10)} ${(await load(name)).title}`);
  console.log(`${programs.join(', ')}: programs of their own, described in their first lines`);
  if (unknown.length > 0) process.exitCode = 1;
} else {
  const [processor] = cpus();
  console.log(`${cpus().length} × ${processor?.model.trim()}, Node ${process.version}, ${rounds} rounds`);
  for (const name of positionals) await (programs.includes(name) ? runProgram(name) : measure(name));
}
