import { createPrivateKey, X509Certificate } from 'node:crypto';
import { access, constants, mkdir, readFile, stat } from 'node:fs/promises';
import { type Given, type Option, UsageError } from '../command.ts';
import { writeProblem } from '../exit-codes.ts';
import { OutputError } from '../output.ts';

/** Where `serve` listens without `--listen`. */
export const defaultAddress = '127.0.0.1:5000';

export const serveOptions = {
  listen: { type: 'string', value: 'HOST:PORT', help: `default: ${defaultAddress}; port 0 takes a free one` },
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
}

/** Reads the flags of `serve` and the files that they name. UsageError for what is wrong. */
export async function serveSettings({ words, texts, flags }: Given): Promise<ServeSettings> {
  const [directory] = words;
  const isReadOnly = flags.has('read-only');
  if (isReadOnly && directory === undefined)
    throw new UsageError('Flag "--read-only" needs a directory: a registry in memory would always be empty');
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
    directory,
    isReadOnly,
  };
}

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
