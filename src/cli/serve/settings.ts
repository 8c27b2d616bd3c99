import { createPrivateKey, X509Certificate } from 'node:crypto';
import { access, constants, mkdir, readFile, stat } from 'node:fs/promises';
import { parseRepository } from '../../index.ts';
import { type Given, type Option, UsageError } from '../command.ts';
import { writeProblem } from '../exit-codes.ts';
import { readValue } from '../limits.ts';
import { OutputError } from '../output.ts';

/** Where `serve` listens without `--listen`. */
const defaultAddress = '127.0.0.1:5000';

export const serveOptions = {
  listen: { type: 'string', value: 'HOST:PORT', help: `default: ${defaultAddress}; port 0 takes a free one` },
  mirror: {
    type: 'string',
    value: 'HOST',
    isList: true,
    help: 'be a pull-through mirror of this registry; may be repeated, the first is that of requests that name none',
  },
  dir: { type: 'string', value: 'DIR', help: 'where a mirror keeps content; default: memory' },
  'cache-size': {
    type: 'string',
    value: 'SIZE',
    help: 'most that a mirror keeps: 500MB, 20GiB; default: 1GiB in memory, no bound in DIR',
  },
  fresh: { type: 'string', value: 'TIME', help: 'for which a mirror does not request a tag again; default: 5m' },
  front: { type: 'string', value: 'FILE', help: 'be a front that redirects to a registry and its buckets' },
  'read-only': { type: 'boolean', help: 'refuse whatever changes the registry' },
  'tls-cert': { type: 'string', value: 'FILE', help: 'certificate chain in PEM, for https; with --tls-key' },
  'tls-key': { type: 'string', value: 'FILE', help: 'its private key in PEM' },
  users: { type: 'string', value: 'FILE', help: 'only these may use it: a line NAME:PASSWORD for each' },
  log: { type: 'boolean', help: 'print a line for each response on stderr; with --json as JSON' },
  'no-page': { type: 'boolean', help: 'leave out the page at / and its data at /status' },
} as const satisfies Readonly<Record<string, Option>>;

/** What the flags of `serve` say, with the files that they name. */
export interface ServeSettings {
  readonly host: string;
  readonly port: number;
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly users?: Readonly<Record<string, string>>;
  readonly directory?: string | undefined;
  readonly isReadOnly: boolean;
  /** Of a mirror. Bytes and milliseconds. */
  readonly mirror?: {
    readonly hosts: readonly string[];
    readonly bytes: number | undefined;
    readonly fresh: number | undefined;
  };
  /** Path of the file of a front. */
  readonly front?: string | undefined;
}

/** Reads the flags of `serve` and the files that they name. UsageError for what is wrong. */
export async function serveSettings(given: Given): Promise<ServeSettings> {
  const { texts, flags } = given;
  checkKind(given);
  const { 'tls-cert': cert, 'tls-key': key, users } = texts;
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError(
      `Flag "--tls-${cert === undefined ? 'key' : 'cert'}" needs the other one: --tls-cert FILE --tls-key FILE`,
    );
  const address = addressOf(texts.listen ?? defaultAddress);
  return {
    ...address,
    ...(cert !== undefined && key !== undefined && { tls: await readTls(cert, key) }),
    ...(users !== undefined && { users: await readUsers(users) }),
    directory: texts.dir ?? given.words[0],
    isReadOnly: flags.has('read-only'),
    ...(texts.mirror !== undefined && { mirror: mirrorOf(texts.mirror, texts) }),
    front: texts.front,
  };
}

/** Refuses flags of one kind of server for another. */
function checkKind({ words, texts, flags }: Given): void {
  const kind = texts.mirror !== undefined ? '--mirror' : texts.front !== undefined ? '--front' : undefined;
  const [directory] = words;
  if (texts.mirror !== undefined && texts.front !== undefined)
    throw new UsageError('Flags "--mirror" and "--front" are for two servers: start each with its own --listen');
  if (kind !== undefined && directory !== undefined)
    throw new UsageError(`Flag "${kind}" takes no directory "${directory}"${kind === '--mirror' ? ': use --dir' : ''}`);
  if (kind !== undefined && flags.has('read-only'))
    throw new UsageError(`Flag "--read-only" is for a registry: with ${kind} nothing can be pushed`);
  for (const flag of ['dir', 'cache-size', 'fresh'])
    if (texts[flag] !== undefined && kind !== '--mirror')
      throw new UsageError(`Flag "--${flag}" is for a mirror: add --mirror HOST`);
  if (kind === undefined && flags.has('read-only') && directory === undefined)
    throw new UsageError('Flag "--read-only" needs a directory: a registry in memory would always be empty');
}

/** A registry as references call it. */
function registryOf(text: string): string {
  const refuse = (): UsageError =>
    new UsageError(`Flag "--mirror" needs a registry, such as docker.io, and has "${text}"`);
  try {
    const { registry, name } = parseRepository(`${text}/x/y`);
    if (name === 'x/y') return registry;
  } catch {
    throw refuse();
  }
  throw refuse();
}

/** Most bytes that a mirror keeps in memory. */
const memoryBytes = 2 ** 30;

function mirrorOf(
  text: string,
  { dir, fresh, 'cache-size': size }: Given['texts'],
): NonNullable<ServeSettings['mirror']> {
  const hosts = [...new Set(text.split(',').map(registryOf))];
  const bytes = size === undefined ? undefined : readValue('--cache-size', { value: 'SIZE' }, size);
  return {
    hosts,
    bytes: bytes ?? (dir === undefined ? memoryBytes : undefined),
    fresh: fresh === undefined ? undefined : readValue('--fresh', { value: 'TIME', orZero: true }, fresh),
  };
}

/** What `--listen` says; undefined without it. */
export const addressIn = ({ texts }: Given): { readonly host: string; readonly port: number } | undefined =>
  texts.listen === undefined ? undefined : addressOf(texts.listen);

/** `127.0.0.1:5000`, `[::1]:5000`, `registry.example:443`. */
function addressOf(text: string): { readonly host: string; readonly port: number } {
  const [, v6, name, digits] = /^(?:\[([\da-f:.]+(?:%\w+)?)\]|([^\s:/[\]@]+)):(\d{1,5})$/i.exec(text) ?? [];
  const port = Number(digits);
  if (port <= 65_535) return { host: v6 ?? name ?? '', port };
  const hint = /^:\d+$/.test(text) ? `: 127.0.0.1${text} for this machine only, 0.0.0.0${text} for all addresses` : '';
  throw new UsageError(
    `Flag "--listen" needs HOST:PORT, such as ${defaultAddress} or [::1]:5000, and is "${text}"${hint}`,
  );
}

/** Whether only this machine can connect to an address. */
export const isLoopback = (host: string): boolean => /^(?:127\.|::1$|(?:[^.]+\.)*localhost$)/i.test(host);

async function readTls(certPath: string, keyPath: string): Promise<NonNullable<ServeSettings['tls']>> {
  const [cert, key] = [await readGiven('tls-cert', certPath), await readGiven('tls-key', keyPath)];
  const refuse = (flag: string, path: string, found: string): UsageError =>
    new UsageError(`Cannot use "--${flag} ${path}": ${found}`);
  const parsed = <T>(flag: string, path: string, parse: () => T): T => {
    try {
      return parse();
    } catch (error) {
      const isLocked = (error as NodeJS.ErrnoException).code === 'ERR_MISSING_PASSPHRASE';
      throw refuse(flag, path, isLocked ? 'it is encrypted' : 'it has none in PEM');
    }
  };
  const certificate = parsed('tls-cert', certPath, () => new X509Certificate(cert));
  const isPair = certificate.checkPrivateKey(parsed('tls-key', keyPath, () => createPrivateKey(key)));
  if (!isPair) throw refuse('tls-key', keyPath, 'it is the key of another certificate');
  return { cert, key };
}

/** Passwords by name. Lines that are empty or begin with `#` say nothing. */
async function readUsers(path: string): Promise<Readonly<Record<string, string>>> {
  const users = new Map<string, string>();
  for (const [index, line] of (await readGiven('users', path)).split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const refuse = (found: string): UsageError =>
      new UsageError(`Cannot use "--users ${path}": line ${index + 1}: ${found}`);
    const [, name, password] = /^([^:]+):(.+)$/.exec(line) ?? [];
    if (name === undefined || password === undefined) throw refuse('not NAME:PASSWORD');
    if (/^\$(?:2[abxy]?|apr1|[156]|y)\$|^\{SHA\}/.test(password))
      throw refuse('a hashed password, which is not supported; write the password itself');
    if (users.has(name)) throw refuse('a user of an earlier line');
    users.set(name, password);
  }
  if (users.size === 0) throw new UsageError(`Cannot use "--users ${path}": it has no line NAME:PASSWORD`);
  return Object.fromEntries(users);
}

/** Most bytes of a file that a flag names. */
const mostBytes = 4 * 1_048_576;

async function readGiven(flag: string, path: string): Promise<string> {
  const refuse = (found: string): UsageError => new UsageError(`Cannot read "--${flag} ${path}": ${found}`);
  try {
    if ((await stat(path)).size > mostBytes) throw refuse('it is larger than 4 MiB');
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw refuse(
      code === 'ENOENT' ? 'it does not exist' : code === 'EISDIR' ? 'it is a directory' : writeProblem(error as Error),
    );
  }
}

/** Creates the directory of a registry, or checks the one there is, before the first request needs it. */
export async function prepareDirectory(directory: string, isReadOnly: boolean): Promise<void> {
  const refuse = (found: string): OutputError => new OutputError(`Cannot serve directory "${directory}": ${found}`);
  try {
    if (!isReadOnly) await mkdir(directory, { recursive: true });
    if (!(await stat(directory)).isDirectory()) throw refuse('it is not a directory');
    await access(directory, constants.R_OK | constants.X_OK | (isReadOnly ? 0 : constants.W_OK));
  } catch (error) {
    if (error instanceof OutputError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const found =
      code === 'EEXIST'
        ? 'it is not a directory'
        : code === 'ENOENT' && isReadOnly
          ? 'it does not exist'
          : writeProblem(error as Error);
    const isUnwritable = !isReadOnly && (code === 'EACCES' || code === 'EROFS');
    throw refuse(isUnwritable ? `${found}; --read-only serves what is in it` : found);
  }
}
