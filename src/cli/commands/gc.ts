import { layoutStore } from '../../index.ts';
import { type Command, quietOption } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { counted, oneLine, writeJson, writeLines } from '../io.ts';
import { readValue } from '../limits.ts';
import { formatBytes } from '../units.ts';

export const gcCommand: Command = {
  about:
    'Removes from an OCI image layout the content that no entry of its index.json reaches, and partial downloads. Removes\n' +
    'nothing if a document of the layout cannot be read, or while another process writes into it. What a server took within\n' +
    'the last hour (--grace) stays while its manifest has not come yet.',
  words: [1, 1],
  options: {
    'dry-run': { type: 'boolean', short: 'n', help: 'show what would be removed, and remove nothing' },
    grace: {
      type: 'string',
      value: 'TIME',
      help: 'for which content that a server took waits for its manifest: 10m, 0; default: 1h',
    },
    quiet: quietOption,
  },
  examples: [
    ['ocifetch gc --dry-run ./layout', 'what would be removed'],
    ['ocifetch gc ./layout', 'after tags have moved'],
  ],
  run: async (given, io) => {
    const [directory = ''] = given.words;
    const dryRun = given.flags.has('dry-run');
    const time = given.texts.grace;
    const grace = time === undefined ? undefined : readValue('--grace', { value: 'TIME', orZero: true }, time);
    const garbage = await layoutStore(directory).gc({ dryRun, grace, signal: io.signal });
    if (given.flags.has('json')) writeJson(io, garbage);
    else if (!given.flags.has('quiet')) {
      const { removed, partials, bytes } = garbage;
      const verb = dryRun ? 'would be removed' : 'removed';
      const what = `${counted(removed.length, 'content')}, ${counted(partials, 'partial download')}, ${formatBytes(bytes)}`;
      writeLines(io.stdout, [
        ...removed.map((digest) => `${verb}: ${digest}`),
        `${oneLine(directory)}: ${what} ${verb}`,
      ]);
    }
    return exitCodes.ok;
  },
};
