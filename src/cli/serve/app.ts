import type { RunningServer } from '../../app/server.ts';
import { type Given, UsageError } from '../command.ts';
import { reportWarnings } from '../configuration.ts';
import { exitCodes } from '../exit-codes.ts';
import { counted, type Io, jsonText, oneLine, writeLines } from '../io.ts';

/** Flags of what the file says itself. */
const inFile = [
  'read-only',
  'users',
  'tls-cert',
  'tls-key',
  'no-page',
  'mirror',
  'dir',
  'cache-size',
  'fresh',
  'front',
];

/** Most milliseconds for requests under way, whatever the file says. */
export const longestDrain = 600_000;

/** Serves the registry that a file describes until the first signal. The log goes to stderr. */
export async function serveApp(
  path: string,
  address: { readonly host: string; readonly port: number } | undefined,
  { given, io }: { readonly given: Given; readonly io: Io },
): Promise<number> {
  const { texts, flags } = given;
  const flag = inFile.find((name) => texts[name] !== undefined || flags.has(name));
  if (flag !== undefined)
    throw new UsageError(`Flag "--${flag}" is for a directory: "${path}" is a file, which says it itself`);
  const { startApp } = await import('../../app/file/app.ts');
  const write = (line: string): void => void io.stderr.write(`${line}\n`);
  const app = await startApp(path, { environment: io.environment, write, listen: address });
  const more = flags.has('json') ? [jsonText({ url: app.url, debug: app.debugUrl })] : [];
  writeLines(io.stdout, [app.url, ...more]);
  writeLines(io.stderr, [`a registry as ${oneLine(path)} says`]);
  return untilEnded(app, Math.min(app.drain, longestDrain), io);
}

/** Runs a server until the first signal, and lets requests under way end, for at most `drain` milliseconds. */
export async function untilEnded(
  { active, stop }: Pick<RunningServer, 'active' | 'stop'>,
  drain: number,
  io: Io,
): Promise<number> {
  await interrupted(io);
  if (active() > 0) writeLines(io.stderr, [`waiting for ${counted(active(), 'request')}`]);
  if (await stop(drain)) return exitCodes.ok;
  reportWarnings([`cut off what took longer than ${drain / 1000} s`], io);
  throw io.signal?.reason;
}

const interrupted = ({ signal }: Io): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted) resolve();
    else signal?.addEventListener('abort', () => resolve(), { once: true });
  });
