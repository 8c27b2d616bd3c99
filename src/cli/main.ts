#!/usr/bin/env node
import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { commandGroups, commands } from './commands.ts';
import { exitCodes } from './exit-codes.ts';
import { commandHelp, programHelp } from './help.ts';
import { codesOfSignals, Interrupted, untilInterrupted } from './interrupted.ts';
import { type Io, standardStreams, writeLines } from './io.ts';
import { checkWords, type Line, parseLine } from './parse.ts';

/** Runs a command line, without the program's name, and returns the exit code. Throws nothing. */
export async function main(args: readonly string[], io: Io): Promise<number> {
  let line: Line | undefined;
  try {
    line = await parseLine(args, commands);
    const { requested, given } = line;
    if (given.flags.has('version')) {
      writeLines(io.stdout, [version()]);
      return exitCodes.ok;
    }
    if (given.flags.has('help')) {
      writeLines(
        io.stdout,
        requested ? commandHelp(requested.entry, requested.command, commands) : programHelp(commandGroups),
      );
      return exitCodes.ok;
    }
    if (!requested) {
      writeLines(io.stderr, programHelp(commandGroups));
      return exitCodes.usage;
    }
    checkWords(requested, given.words, commands);
    const { command } = requested;
    return await untilInterrupted(command.run(given, io), io.signal, command.grace ?? 150);
  } catch (error) {
    const { reportFailure } = await import('./failure.ts');
    // If the line itself is wrong, it has not been parsed.
    return reportFailure(error, io, { isJson: args.includes('--json'), ...line });
  }
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Whether this file is run, and not imported. npm's link to it is followed. */
function isProgram(): boolean {
  try {
    return realpathSync(process.argv[1] ?? '') === fileURLToPath(import.meta.url);
  } catch {
    return false;
  }
}

/** Fires at the first signal. The second one ends the process at once. */
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

/**
 * Makes V8 compile for a process that is over in a second: on Node 20 optimizing the HTTP parser and what calls it costs
 * a pull a fifth of its CPU time, mostly for code that never runs again. Node 22 and later do better by themselves, and
 * such a change would lose their code cache. Called before the first request, which compiles the parser. A server runs long.
 */
function tuneForShortRun(): void {
  if (!process.version.startsWith('v20.') || process.argv[2] === 'serve') return;
  setFlagsFromString('--liftoff-only');
  setFlagsFromString('--interrupt-budget=1000000');
}

if (isProgram()) {
  tuneForShortRun();
  const signal = interruption();
  const io = { ...standardStreams(), environment: process.env, signal };
  void main(process.argv.slice(2), io).then((code) => {
    process.exitCode = code;
    if (!signal.aborted) return;
    // Neither what still runs nor a stream that has failed is waited for.
    if (process.stderr.errored) process.exit();
    process.stderr.write('', () => process.exit());
  });
}
