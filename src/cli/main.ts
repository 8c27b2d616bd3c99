#!/usr/bin/env node
import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from './command.ts';
import { configCheckCommand } from './config-check.ts';
import { configConvertCommand } from './config-convert.ts';
import { configSchemaCommand } from './config-schema.ts';
import { configShowCommand } from './config-show.ts';
import { doctorCommand } from './doctor.ts';
import { exitCodes } from './exit-codes.ts';
import { tellFailure } from './failure.ts';
import { commandHelp, programHelp } from './help.ts';
import { type Io, writeLines } from './io.ts';
import { checkWords, parseLine } from './parse.ts';
import { planCommand } from './plan.ts';

const commands: readonly Command[] = [
  planCommand,
  doctorCommand,
  configCheckCommand,
  configShowCommand,
  configSchemaCommand,
  configConvertCommand,
];

/** Runs a command line, without the program's name, and gives the exit code. It throws nothing. */
export async function main(args: readonly string[], io: Io): Promise<number> {
  // As far as can be told while the line itself may be wrong.
  const json = args.includes('--json');
  try {
    const { command, given } = parseLine(args, commands);
    if (given.flags.has('version')) {
      writeLines(io.stdout, [version()]);
      return exitCodes.ok;
    }
    if (given.flags.has('help')) {
      writeLines(io.stdout, command ? commandHelp(command) : programHelp(commands));
      return exitCodes.ok;
    }
    if (!command) {
      writeLines(io.stderr, programHelp(commands));
      return exitCodes.usage;
    }
    checkWords(command, given.words);
    return await command.run(given, io);
  } catch (error) {
    return tellFailure(error, io, { json });
  }
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Whether this file is the program, and not imported by one. npm's link to it is followed. */
function isProgram(): boolean {
  try {
    return realpathSync(process.argv[1] ?? '') === fileURLToPath(import.meta.url);
  } catch {
    return false;
  }
}

if (isProgram()) {
  for (const stream of [process.stdout, process.stderr]) {
    // Whoever reads has seen enough: `| head`.
    stream.on('error', (error: NodeJS.ErrnoException) =>
      process.exit(error.code === 'EPIPE' ? process.exitCode : exitCodes.failed),
    );
  }
  const io = { stdout: process.stdout, stderr: process.stderr, environment: process.env };
  void main(process.argv.slice(2), io).then((code) => {
    process.exitCode = code;
  });
}
