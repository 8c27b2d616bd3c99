// Measures ocifetch beside other programs of this machine, in the same run.
// Usage: npm run bench -- [NAME…] [--rounds N] [--small] [--no-peers] [--json] [--list]; without a name it lists what there is,
// and `all` is every scenario.
// A scenario is a file of bench/scenarios with an export `scenario`: what it is, its columns and bars, and the ways to do the
// work. Prints medians with least–most, and for each bar the median of the ratios of the same round.
import { readdir } from 'node:fs/promises';
import { cpus } from 'node:os';
import { extname } from 'node:path';
import { parseArgs } from 'node:util';
import { type Measurement, measure } from './support/rounds.ts';
import type { Scenario } from './support/scenario.ts';
import { barLine, table } from './support/table.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    small: { type: 'boolean', default: false },
    'no-peers': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const ending = extname(import.meta.url);

async function scenarioNames(): Promise<string[]> {
  const files = await readdir(new URL('./scenarios/', import.meta.url));
  return files.flatMap((file) => (file.endsWith(ending) ? [file.slice(0, -ending.length)] : [])).sort();
}

async function load(name: string): Promise<Scenario> {
  const { scenario } = (await import(`./scenarios/${name}${ending}`)) as { readonly scenario: Scenario };
  return scenario;
}

function print(name: string, { title, columns }: Scenario, { lacking, runs, bars }: Measurement): void {
  if (values.json) {
    const works = Object.fromEntries([...runs].map(([work, ways]) => [work, Object.fromEntries(ways)]));
    console.log(JSON.stringify({ scenario: name, lacking, works, bars }));
    return;
  }
  console.log(`\n## ${name}: ${title}\n`);
  for (const what of lacking) console.log(`Left out: ${what}\n`);
  for (const [work, ways] of runs) console.log(table(work, columns, ways));
  for (const bar of bars) console.log(barLine(bar));
}

async function runAll(names: readonly string[]): Promise<void> {
  const [processor] = cpus();
  const machine = `${cpus().length} × ${processor?.model.trim()}, Node ${process.version}, ${rounds} rounds`;
  if (!values.json) console.log(machine);
  for (const name of names) {
    const scenario = await load(name);
    const measured = await measure(scenario, {
      rounds,
      isSmall: values.small,
      hasPeers: !values['no-peers'],
      log: (line) => void process.stderr.write(`${line}\n`),
    });
    print(name, scenario, measured);
  }
}

const known = await scenarioNames();
const names = positionals.includes('all') ? known : positionals;
const unknown = names.filter((name) => !known.includes(name));
if (values.list || names.length === 0 || unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
  for (const name of unknown) console.error(`There is no scenario "${name}"`);
  for (const name of known) console.log(`${name.padEnd(14)} ${(await load(name)).title}`);
  if (unknown.length > 0 || !(rounds >= 1)) process.exitCode = 1;
} else {
  await runAll(names);
}
