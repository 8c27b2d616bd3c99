import { fstatSync, writeSync } from 'node:fs';
import { exitCodes } from './exit-codes.ts';
import { type Io, painter, type Sink } from './io.ts';
import { writeFault } from './write-fault.ts';

/** The streams of the process, as a command prints to them. A failure of stdout ends the process, one of stderr does not. */
export function standardStreams(): Pick<Io, 'stdout' | 'stderr'> {
  process.stdout.on('error', endFailed);
  // What is told along the way may have no reader, or no room: the work is done all the same.
  process.stderr.on('error', () => {});
  return { stdout: isFile() ? fileSink : process.stdout, stderr: process.stderr };
}

/** Also what Node has no stream for, and would drop. */
function isFile(): boolean {
  try {
    const found = fstatSync(1);
    return found.isFile() || found.isBlockDevice();
  } catch {
    return false;
  }
}

/** Node's own stream of a file writes once, and takes what did not fit for written. */
const fileSink: Sink = {
  write: (chunk) => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(1, bytes, done, bytes.length - done);
    } catch (error) {
      endFailed(error as NodeJS.ErrnoException);
    }
  },
};

function endFailed(error: NodeJS.ErrnoException): never {
  // Whoever reads has seen enough: `| head`. What is not done yet ends with it, as it does for other programs.
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? exitCodes.pipe);
  const { stderr, env: environment } = process;
  const paint = painter({ environment }, stderr);
  try {
    writeSync(2, `${paint('red', 'ocifetch:')} Cannot write the output: ${writeFault(error)}\n`);
  } catch {
    // The exit code tells.
  }
  process.exit(exitCodes.storage);
}
