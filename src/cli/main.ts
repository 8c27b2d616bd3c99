#!/usr/bin/env node
import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { commandGroups, commands } from './commands.ts';
import { exitCodes } from './exit-codes.ts';
import { commandHelp, programHelp } from './help.ts';
import { codesOfSignals, Interrupted, untilInterrupted } from './interrupted.ts';
import { type Io, writeLines } from './io.ts';
import { checkWords, type Line, parseLine } from './parse.ts';
import { tuneForShortRun } from './short-run.ts';
import { standardStreams } from './standard-streams.ts';

/** Runs a command line, without the program's name, and gives the exit code. It throws nothing. */
export async function main(args: readonly string[], io: Io): Promise<number> {
  let line: Line | undefined;
  try {
    line = await parseLine(args, commands);
    const { asked, given } = line;
    if (given.flags.has('version')) {
      writeLines(io.stdout, [version()]);
      return exitCodes.ok;
    }
    if (given.flags.has('help')) {
      writeLines(io.stdout, asked ? commandHelp(asked.entry, asked.command, commands) : programHelp(commandGroups));
      return exitCodes.ok;
    }
    if (!asked) {
      writeLines(io.stderr, programHelp(commandGroups));
      return exitCodes.usage;
    }
    checkWords(asked, given.words, commands);
    return await untilInterrupted(asked.command.run(given, io), io.signal, 150);
  } catch (error) {
    const { tellFailure } = await import('./failure.ts');
    // As far as can be told while the line itself may be wrong.
    return tellFailure(error, io, { isJson: args.includes('--json'), ...line });
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

/** Fires at the first signal; the second one ends the process where it stands. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const [name, code] of Object.entries(codesOfSignals)) {
    process.on(name, (signal: keyof typeof codesOfSignals) => {
      if (controller.signal.aborted) process.exit(code);
      controller.abort(new Interrupted(signal));
    });
  }
  return controller.signal;
}

if (isProgram()) {
  tuneForShortRun();
  const signal = interruption();
  const io = { ...standardStreams(), environment: process.env, signal };
  void main(process.argv.slice(2), io).then((code) => {
    process.exitCode = code;
    if (!signal.aborted) return;
    // Nobody waits for what still runs, nor for a stream that has failed.
    if (process.stderr.errored) process.exit();
    process.stderr.write('', () => process.exit());
  });
}
