// What it takes to start: the command line and the library, on top of a Node that does nothing.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runCold } from '../support/cold.ts';
import { ownProgram } from '../support/programs.ts';
import { type Costs, type Scenario, type Way, withCounts } from '../support/scenario.ts';
import { serveImage } from '../support/served.ts';

const work = 'cold process';
const [bare, digest, library] = ['bare Node', 'ocifetch manifest --digest', "import 'ocifetch'"] as const;

const way = (
  name: string,
  command: readonly string[],
  check: (output: string) => boolean,
  counts?: () => Promise<Costs>,
): Way => ({
  work,
  name,
  run: () =>
    withCounts(counts, async () => {
      const { costs, output } = await runCold(command);
      if (!check(output)) throw new Error(`${command.join(' ')} printed ${output}`);
      return { ...costs, 'wall ms': (costs['wall s'] ?? Number.NaN) * 1e3 };
    }),
});

export const scenario: Scenario = {
  title: 'a cold `manifest --digest`, and the import of the library, beside a Node that does nothing',
  columns: ['wall ms', 'CPU s', 'peak MiB', 'requests'],
  bars: [
    { work, column: 'wall s', way: digest, than: bare, most: 1.8, goal: 1.4 },
    { work, column: 'wall ms', way: library, than: bare, isDifference: true, most: 25, goal: 10 },
  ],
  prepare: async (setting) => {
    const { image, server, plain } = await serveImage(setting, [1_024]);
    const module = ['--input-type=module', '--eval'];
    const reference = `${plain.host}/${plain.repository}:latest`;
    const entry = import.meta.resolve('ocifetch');
    const isBuilt = existsSync(fileURLToPath(entry));
    const ways = [
      way(bare, [process.execPath, ...module, '0'], (output) => output === ''),
      way(
        digest,
        [process.execPath, ownProgram(), 'manifest', '--digest', '--no-discover', reference],
        (output) => output.trim() === image.manifest.digest,
        plain.counts,
      ),
      ...(isBuilt
        ? [way(library, [process.execPath, ...module, `import ${JSON.stringify(entry)}`], (output) => output === '')]
        : []),
    ];
    return { ways, lacking: [...server.lacking, ...(isBuilt ? [] : ['the library: npm run build makes it'])] };
  },
};
