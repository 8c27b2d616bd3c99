import { parseManifest } from '../index.ts';
import { withClient } from './client.ts';
import type { Command } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { parsedJson, readBytes, readImage } from './image-manifest.ts';
import { writeJson } from './io.ts';
import { openOutput } from './output.ts';

export const imageConfigCommand: Command = {
  about:
    "Prints an image's configuration (entry point, environment, labels, history), byte for byte as the registry has it.\n" +
    'Of an index that of the image for this machine, or for --platform. An image whose name is also one of the other\n' +
    'commands below is written with its path: docker.io/library/show.',
  words: [1, 1],
  options: {
    platform: { type: 'string', value: 'PLATFORM', help: 'linux/arm64, windows/amd64, …; that of this machine' },
  },
  examples: [
    ['ocifetch config alpine | jq .config.Env', 'the environment of an image'],
    ['ocifetch config --json --platform linux/arm64 alpine', 'to be read'],
  ],
  run: async (given, io) => {
    const [text = ''] = given.words;
    await withClient(given, io, async (client) => {
      const reading = { client, text, signal: io.signal };
      const { bytes: manifest, descriptor, reference } = await readImage(reading, given.texts.platform);
      const { config } = parseManifest(manifest, descriptor.mediaType);
      const bytes = await readBytes(reading, reference, config);
      if (given.flags.has('json')) {
        writeJson(io, parsedJson('config', bytes, config));
        return;
      }
      const output = await openOutput(undefined, io);
      await output.write(bytes);
      await output.commit();
    });
    return exitCodes.ok;
  },
};
