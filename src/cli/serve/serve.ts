import { statSync } from 'node:fs';
import type { MirrorFile } from '../../app/mirror-lines.ts';
import type { RunningServer, ServerOptions } from '../../app/server.ts';
import type { Site } from '../../app/site.ts';
import type { Client } from '../../index.ts';
import { withClient } from '../client.ts';
import type { Command, Given } from '../command.ts';
import { reportWarnings } from '../configuration.ts';
import { type Io, jsonText, oneLine, writeLines } from '../io.ts';
import { longestDrain, serveApp, untilEnded } from './app.ts';
import {
  addressIn,
  isLoopback,
  prepareDirectory,
  type ServeSettings,
  serveOptions,
  serveSettings,
} from './settings.ts';

/** Milliseconds for the requests under way when the program is ended. */
const drain = 10_000;

export const serveCommand: Command = {
  about:
    'Serves a registry over a directory, or in memory without one. A directory with an index.json is one image layout, and the\n' +
    'only repository; any other one has a layout for each repository. With --mirror it is a pull-through mirror of registries\n' +
    'instead, and prints the lines that point containerd, k3s and podman at it. With --front it redirects, as a file says.\n' +
    'A FILE instead of a directory describes all of a registry: storage, logins, cache, notifications (docs/registry-app.md).\n' +
    'The first line of stdout is the URL. A page at / shows what is going on, and /status the same as JSON.\n' +
    '\n' +
    'It listens on this machine only, unless --listen says otherwise. Ctrl-C and SIGTERM let requests under way end, for at\n' +
    'most 10 s; a second one ends it at once.',
  words: [0, 1],
  options: serveOptions,
  examples: [
    ['ocifetch serve ./registry', 'a registry that keeps what is pushed, on 127.0.0.1:5000'],
    ['ocifetch serve --listen 127.0.0.1:0', 'one in memory on a free port, for a test'],
    ['ocifetch serve --read-only ./layout', 'what "ocifetch pull" wrote, for other programs'],
    [
      'ocifetch serve --mirror docker.io --mirror ghcr.io --dir ./cache --cache-size 50GB',
      'a mirror of two registries',
    ],
    ['ocifetch serve ./registry.yml', 'a registry as this file describes it'],
    ['ocifetch serve --front ./front.yaml', 'a name of your own for a registry that may move'],
    ['ocifetch serve --listen 0.0.0.0:5000 --users FILE --tls-cert FILE --tls-key FILE DIR', 'for other machines'],
  ],
  jsonLines: true,
  grace: longestDrain + 2_000,
  run: async (given, io) => {
    const [file] = given.words;
    if (file !== undefined && isFile(file)) return serveApp(file, addressIn(given), { given, io });
    const settings = await serveSettings(given);
    if (!settings.mirror) return runSite(await siteOf(settings), settings, given, io);
    const { mirrorAgent } = await import('../../app/mirror-site.ts');
    const userAgent = mirrorAgent();
    const run = async (client: Client): Promise<number> =>
      runSite(await mirrorOf(settings, { client, userAgent, io }), settings, given, io);
    return withClient(given, io, run, { userAgent, defaultLimits: { concurrency } });
  },
};

/** Requests of a mirror to one registry at a time, as slow clients hold theirs open. */
const concurrency = 64;

/** Serves until the first signal. */
async function runSite(
  { site, notes, files }: Described,
  settings: ServeSettings,
  given: Given,
  io: Io,
): Promise<number> {
  const server = await start(site, settings, given, io);
  announce(server, given, io, { notes, files: (await files?.(server.url)) ?? [] });
  reportWarnings(exposure(settings), io);
  return untilEnded(server, drain, io);
}

/** A site, and what its user should know of it. */
interface Described {
  readonly site: Site;
  readonly notes: readonly string[];
  /** Files of other programs that lead to it. */
  readonly files?: (url: string) => Promise<readonly MirrorFile[]>;
}

interface MirrorUse {
  readonly client: Client;
  readonly userAgent: string;
  readonly io: Io;
}

async function mirrorOf({ mirror, directory, host }: ServeSettings, { io, ...use }: MirrorUse): Promise<Described> {
  if (directory !== undefined) await prepareDirectory(directory, false);
  const [{ mirrorSite }, { mirrorFiles }] = await Promise.all([
    import('../../app/mirror-site.ts'),
    import('../../app/mirror-lines.ts'),
  ]);
  const { hosts: mirrors = [], ...settings } = mirror ?? {};
  const onWarning = (text: string): void => reportWarnings([text], io);
  const site = mirrorSite({ mirrors, directory, ...settings, ...use, onWarning });
  const place = directory === undefined ? 'in memory' : `in ${oneLine(directory)}`;
  // Nobody connects to all addresses.
  const reached = (url: string): string =>
    /^(?:0\.0\.0\.0|::)$/.test(host) ? url.replace(/0\.0\.0\.0|\[::\]/, '127.0.0.1') : url;
  return {
    site,
    notes: [`a mirror of ${mirrors.join(', ')}, which keeps content ${place}`],
    files: (url) => mirrorFiles(reached(url), mirrors),
  };
}

async function frontOf(path: string): Promise<Described> {
  const { frontSite } = await import('../../app/front-site.ts');
  return { site: await frontSite(path), notes: [`a front, as ${oneLine(path)} says`] };
}

async function siteOf({ directory, isReadOnly, front }: ServeSettings): Promise<Described> {
  if (front !== undefined) return frontOf(front);
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
function announce(
  { url }: RunningServer,
  { flags }: Given,
  io: Io,
  { notes, files }: { readonly notes: readonly string[]; readonly files: readonly MirrorFile[] },
): void {
  const page = flags.has('no-page') ? undefined : `${url}/`;
  const lines = files.flatMap(({ tool, path, text }) => ['', `# ${tool}: ${path}`, ...text.trimEnd().split('\n')]);
  const json = jsonText({ url, page, ...(files.length > 0 && { files }) });
  writeLines(io.stdout, [url, ...(flags.has('json') ? [json] : lines)]);
  writeLines(io.stderr, [...notes, ...(page === undefined ? [] : [`its page is ${page}`])]);
}

/** What others can do whom nothing keeps out. */
function exposure({ host, port, tls, users, isReadOnly, mirror, front }: ServeSettings): string[] {
  if (isLoopback(host) || (tls && users)) return [];
  const who = users
    ? 'their passwords are not encrypted'
    : `everyone who can may ${isReadOnly || mirror || front !== undefined ? 'read it' : 'read it and push'}`;
  const flags = [...(users ? [] : ['--users']), ...(tls ? [] : ['--tls-cert with --tls-key'])];
  return [
    `other machines can connect to ${host}:${port}, and ${who}: see ${flags.join(' and ')}, or listen on 127.0.0.1`,
  ];
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    // Whatever is wrong is reported of the directory that it is to be.
    return false;
  }
}
