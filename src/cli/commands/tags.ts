import { withClient } from '../client.ts';
import type { Command } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { oneLine, send, writeJson } from '../io.ts';
import { listOptions } from '../limits.ts';

export const tagsCommand: Command = {
  about: 'Prints the tags of a repository, sorted, one per line; with --json as an array.',
  words: [1, 1],
  options: listOptions,
  examples: [
    ['ocifetch tags quay.io/prometheus/node-exporter', 'all tags'],
    ['ocifetch tags alpine | sort -V | tail -n 1', 'the highest version'],
  ],
  run: async (given, io) => {
    const [repository = ''] = given.words;
    const tags = await withClient(given, io, (client) => client.fetcher(repository).tags({ signal: io.signal }));
    if (given.flags.has('json')) writeJson(io, tags);
    else await send(io.stdout, tags.map((tag) => `${oneLine(tag)}\n`).join(''));
    return exitCodes.ok;
  },
};
