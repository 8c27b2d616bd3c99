#!/usr/bin/env node
import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { commandGroups, commands } from './commands.ts';
import { exitCodes } from './exit-codes.ts';
import { commandHelp, programHelp } from './help.ts';
import { codesOfSignals, Interrupted, untilInterrupted } from './interrupted.ts';
import { type Io, writeLines } from './io.ts';
import { checkWords, parseLine } from './parse.ts';
import { tuneForShortRun } from './short-run.ts';

/** Runs a command line, without the program's name, and gives the exit code. It throws nothing. */
export async function main(args: readonly string[], io: Io): Promise<number> {
  // As far as can be told while the line itself may be wrong.
  let json: 'document' | 'line' | false = args.includes('--json') && 'document';
  try {
    const { asked, given } = await parseLine(args, commands);
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
    if (json && asked.command.jsonLines) json = 'line';
    checkWords(asked, given.words, commands);
    return await untilInterrupted(asked.command.run(given, io), io.signal, 150);
  } catch (error) {
    const { tellFailure } = await import('./failure.ts');
    return tellFailure(error, io, json);
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
  for (const stream of [process.stdout, process.stderr]) {
    // Whoever reads has seen enough: `| head`. What is not done yet ends with it, as it does for other programs.
    stream.on('error', (error: NodeJS.ErrnoException) =>
      process.exit(error.code === 'EPIPE' ? (process.exitCode ?? exitCodes.pipe) : exitCodes.failed),
    );
  }
  const signal = interruption();
  const io = { stdout: process.stdout, stderr: process.stderr, environment: process.env, signal };
  void main(process.argv.slice(2), io).then((code) => {
    process.exitCode = code;
    // Nobody waits for what still runs.
    if (signal.aborted) process.stderr.write('', () => process.exit());
  });
}
