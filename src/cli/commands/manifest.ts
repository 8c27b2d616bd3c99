import { withClient } from '../client.ts';
import { type Command, UsageError } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { writeJson, writeLines } from '../io.ts';
import { networkOptions } from '../limits.ts';
import { withOutput } from '../output.ts';
import { checkIsManifest, parsedJson, readDocument } from './image-manifest.ts';

export const manifestCommand: Command = {
  about:
    'Prints the manifest or index that a reference names, byte for byte, so that its digest can be computed; with\n' +
    '--platform the manifest for that platform. --json indents it, --digest prints only its digest.',
  words: [1, 1],
  options: {
    platform: {
      type: 'string',
      value: 'PLATFORM',
      help: 'choose from an index the manifest for linux/arm64, windows/amd64, …',
    },
    digest: { type: 'boolean', help: 'print only the digest; without --platform nothing is downloaded' },
    ...networkOptions,
  },
  examples: [
    ['ocifetch manifest alpine:3.20 | sha256sum', 'the digest of its bytes'],
    ['ocifetch manifest --platform linux/arm64 --json alpine', 'the manifest for a platform, for people'],
    ['ocifetch manifest --digest alpine:3.20', 'whether a tag has moved'],
  ],
  run: async (given, io) => {
    const [text = ''] = given.words;
    const { platform } = given.texts;
    const { signal } = io;
    const isDigest = given.flags.has('digest');
    if (isDigest && given.flags.has('json')) throw new UsageError('Flags "--digest" and "--json" cannot be combined');
    await withClient(given, io, async (client) => {
      if (isDigest) {
        const { reference, descriptor } = await client.resolve(text, { platform, signal });
        checkIsManifest(reference, descriptor);
        writeLines(io.stdout, [descriptor.digest]);
        return;
      }
      const { bytes, descriptor } = await readDocument({ client, text, signal }, platform);
      if (given.flags.has('json')) writeJson(io, parsedJson('manifest', bytes, descriptor));
      else await withOutput(undefined, io, (output) => output.write(bytes));
    });
    return exitCodes.ok;
  },
};
