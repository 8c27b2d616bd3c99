import type { RunningServer, ServerOptions } from '../../app/server.ts';
import type { Site } from '../../app/site.ts';
import type { Command, Given } from '../command.ts';
import { reportWarnings } from '../configuration.ts';
import { exitCodes } from '../exit-codes.ts';
import { counted, type Io, jsonText, oneLine, writeLines } from '../io.ts';
import { isLoopback, prepareDirectory, type ServeSettings, serveOptions, serveSettings } from './settings.ts';

/** Milliseconds for the requests under way when the program is ended. */
const drain = 10_000;

export const serveCommand: Command = {
  about:
    'Serves a registry over a directory, or in memory without one. A directory with an index.json is one image layout, and the\n' +
    'only repository; any other one has a layout for each repository. The first line of stdout is the URL. A page at / shows\n' +
    'what is going on, and /status the same as JSON.\n' +
    '\n' +
    'It listens on this machine only, unless --listen says otherwise. Ctrl-C and SIGTERM let requests under way end, for at\n' +
    'most 10 s; a second one ends it at once.',
  words: [0, 1],
  options: serveOptions,
  examples: [
    ['ocifetch serve ./registry', 'a registry that keeps what is pushed, on 127.0.0.1:5000'],
    ['ocifetch serve --listen 127.0.0.1:0', 'one in memory on a free port, for a test'],
    ['ocifetch serve --read-only ./layout', 'what "ocifetch pull" wrote, for other programs'],
    ['ocifetch serve --listen 0.0.0.0:5000 --users FILE --tls-cert FILE --tls-key FILE DIR', 'for other machines'],
  ],
  jsonLines: true,
  grace: drain + 2_000,
  run: async (given, io) => {
    const settings = await serveSettings(given);
    const { site, notes } = await siteOf(settings);
    const server = await start(site, settings, given, io);
    announce(server, given, io, notes);
    reportWarnings(exposure(settings), io);
    await interrupted(io);
    const { active } = server;
    if (active() > 0) writeLines(io.stderr, [`waiting for ${counted(active(), 'request')}`]);
    if (await server.stop(drain)) return exitCodes.ok;
    reportWarnings([`cut off what took longer than ${drain / 1000} s`], io);
    throw io.signal?.reason;
  },
};

/** A site, and what its user should know of it. */
interface Described {
  readonly site: Site;
  readonly notes: readonly string[];
}

async function siteOf({ directory, isReadOnly }: ServeSettings): Promise<Described> {
  if (directory !== undefined) await prepareDirectory(directory, isReadOnly);
  // Loaded only here: other commands load this file to read a command line.
  const { registrySite } = await import('../../app/registry-site.ts');
  const { site, only } = registrySite({ directory, isReadOnly });
  if (directory === undefined) return { site, notes: ['a registry in memory: what is pushed is gone when it ends'] };
  const name = oneLine(directory);
  if (only !== undefined) return { site, notes: [`${name} is one image layout: it is the repository "${only}"`] };
  const { length } = (await site.repositories?.()) ?? [];
  return { site, notes: [`a registry in ${name}: ${length === 1 ? '1 repository' : `${length} repositories`}`] };
}

async function start(
  site: Site,
  { host, port, tls, users }: ServeSettings,
  given: Given,
  io: Io,
): Promise<RunningServer> {
  const { flags } = given;
  const [{ startServer }, { logLine }] = await Promise.all([import('../../app/server.ts'), import('../../app/log.ts')]);
  const format = flags.has('json') ? 'json' : 'text';
  const options: ServerOptions = {
    listen: { host, port, ...(tls && { tls }) },
    users,
    hasPage: !flags.has('no-page'),
    ...(flags.has('log') && { onEvent: (event) => void io.stderr.write(`${logLine(event, format)}\n`) }),
  };
  return startServer(site, options).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`Cannot listen on "${host.includes(':') ? `[${host}]` : host}:${port}": ${listenProblem(error)}`);
  });
}

const listenProblems: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program uses this port; choose one with --listen HOST:PORT, 0 takes a free one',
  EACCES: 'no permission: ports below 1024 are for the administrator; choose another one with --listen HOST:PORT',
  EPERM: 'no permission',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the name of the host cannot be looked up at the moment',
};

const listenProblem = ({ code, message }: NodeJS.ErrnoException): string => listenProblems[code ?? ''] ?? message;

/** The URL alone on the first line, for programs; all of stdout in one write, as its reader may leave after that line. */
function announce({ url }: RunningServer, { flags }: Given, io: Io, notes: readonly string[]): void {
  const page = flags.has('no-page') ? undefined : `${url}/`;
  writeLines(io.stdout, [url, ...(flags.has('json') ? [jsonText({ url, page })] : [])]);
  writeLines(io.stderr, [...notes, ...(page === undefined ? [] : [`its page is ${page}`])]);
}

/** What others can do whom nothing keeps out. */
function exposure({ host, port, tls, users, isReadOnly }: ServeSettings): string[] {
  if (isLoopback(host) || (tls && users)) return [];
  const who = users
    ? 'their passwords are not encrypted'
    : `everyone who can may ${isReadOnly ? 'read it' : 'read it and push'}`;
  const flags = [...(users ? [] : ['--users']), ...(tls ? [] : ['--tls-cert with --tls-key'])];
  return [
    `other machines can connect to ${host}:${port}, and ${who}: see ${flags.join(' and ')}, or listen on 127.0.0.1`,
  ];
}

const interrupted = ({ signal }: Io): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted) resolve();
    else signal?.addEventListener('abort', () => resolve(), { once: true });
  });
