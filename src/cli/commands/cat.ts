import { withClient } from '../client.ts';
import { type Command, outputOption, platformOption, quietOption, UsageError } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { writeJson, writeLines } from '../io.ts';
import { fileOptions } from '../limits.ts';
import { withOutput } from '../output.ts';

export const catCommand: Command = {
  about:
    'Prints one file of an image, with all layers applied; symbolic links are followed. Only what is needed is downloaded:\n' +
    'the part with the file of an eStargz or zstd:chunked layer, and everything before the file of any other. The former\n' +
    'have digests of their parts, so the file is verified; a file of the latter only with --verify, else stderr says so.',
  words: [2, 2],
  options: {
    platform: platformOption,
    output: outputOption,
    verify: { type: 'boolean', help: 'read the whole layer if there is no other way to verify the file' },
    quiet: quietOption,
    ...fileOptions,
  },
  examples: [
    ['ocifetch cat alpine /etc/os-release', 'one file of an image'],
    ['ocifetch cat --platform linux/arm64 -o busybox alpine /bin/busybox', 'a program, into a file'],
  ],
  run: async (given, io) => {
    const [text = '', path = ''] = given.words;
    const { signal } = io;
    const { output: name } = given.texts;
    const isJson = given.flags.has('json');
    if (isJson && (name === undefined || name === '-'))
      throw new UsageError('Flag "--json" needs -o FILE: stdout is for the content');
    await withClient(given, io, async (client) => {
      const files = await client.files(text, { signal, platform: given.texts.platform });
      try {
        const file = await files.open(path, { signal, verify: given.flags.has('verify') });
        await withOutput(name, io, async (output) => {
          for await (const chunk of file) await output.write(chunk);
        });
        if (!file.verified && !given.flags.has('quiet'))
          writeLines(io.stderr, ['Not verified, since only a part of the layer was read; --verify reads all of it.']);
        if (isJson) writeJson(io, { file: name, entry: file.entry, verified: file.verified });
      } finally {
        await files.close();
      }
    });
    return exitCodes.ok;
  },
};
