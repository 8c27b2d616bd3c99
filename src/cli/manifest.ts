import { withClient } from './client.ts';
import { type Command, UsageError } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { mustBeManifest, parsedJson, readNamed } from './image-manifest.ts';
import { writeJson, writeLines } from './io.ts';
import { openOutput } from './output.ts';

export const manifestCommand: Command = {
  about:
    'Prints what a reference names, byte for byte as the registry has it, so that its digest can be taken; of an index\n' +
    'the index, or with --platform the manifest of a platform. --json indents it, --digest prints its digest alone.',
  words: [1, 1],
  options: {
    platform: { type: 'string', value: 'PLATFORM', help: 'of an index the manifest of linux/arm64, windows/amd64, …' },
    digest: { type: 'boolean', help: 'print the digest alone; without --platform nothing is downloaded' },
  },
  examples: [
    ['ocifetch manifest alpine:3.20 | sha256sum', 'the bytes that the digest is over'],
    ['ocifetch manifest --platform linux/arm64 --json alpine', 'the manifest for a platform, to be read'],
    ['ocifetch manifest --digest alpine:3.20', 'whether a tag has moved'],
  ],
  run: async (given, io) => {
    const [text = ''] = given.words;
    const { platform } = given.texts;
    const { signal } = io;
    const asks = given.flags.has('digest');
    if (asks && given.flags.has('json')) throw new UsageError('Flags "--digest" and "--json" exclude each other');
    await withClient(given, io, async (client) => {
      if (asks) {
        const { descriptor } = await client.resolve(text, { platform, signal });
        mustBeManifest(descriptor);
        writeLines(io.stdout, [descriptor.digest]);
        return;
      }
      const { bytes, descriptor } = await readNamed({ client, text, signal }, platform);
      if (given.flags.has('json')) writeJson(io, parsedJson('manifest', bytes, descriptor));
      else {
        const output = await openOutput(undefined, io);
        await output.write(bytes);
        await output.commit();
      }
    });
    return exitCodes.ok;
  },
};
