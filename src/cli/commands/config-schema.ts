import { configJsonSchema } from '../../index.ts';
import type { Command } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { writeJson } from '../io.ts';

export const configSchemaCommand: Command = {
  about: 'Prints the JSON Schema of ocifetch\'s own configuration file, which can name it by its "$schema" key.',
  words: [0, 0],
  options: {},
  examples: [['ocifetch config schema > ocifetch.schema.json', 'for completion and checks in an editor']],
  run: async (_given, io) => {
    writeJson(io, configJsonSchema());
    return exitCodes.ok;
  },
};
