import { parseManifest } from '../../index.ts';
import { withClient } from '../client.ts';
import { type Command, platformOption } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { writeJson } from '../io.ts';
import { networkOptions } from '../limits.ts';
import { withOutput } from '../output.ts';
import { parsedJson, readBytes, readImage } from './image-manifest.ts';

export const imageConfigCommand: Command = {
  about:
    "Prints an image's configuration (entry point, environment, labels, history), byte for byte. From an index it chooses\n" +
    'the image for this machine, or for --platform. An image with the name of another command below is written with its\n' +
    'path: docker.io/library/show.',
  words: [1, 1],
  options: {
    platform: platformOption,
    ...networkOptions,
  },
  examples: [
    ['ocifetch config alpine | jq .config.Env', 'the environment of an image'],
    ['ocifetch config --json --platform linux/arm64 alpine', 'indented, for people'],
  ],
  run: async (given, io) => {
    const [text = ''] = given.words;
    await withClient(given, io, async (client) => {
      const request = { client, text, signal: io.signal };
      const { bytes: manifest, descriptor, reference } = await readImage(request, given.texts.platform);
      const { config } = parseManifest(manifest, descriptor.mediaType);
      const bytes = await readBytes(request, reference, config);
      if (given.flags.has('json')) writeJson(io, parsedJson('config', bytes, config));
      else await withOutput(undefined, io, (output) => output.write(bytes));
    });
    return exitCodes.ok;
  },
};
