import { createHash, createHmac, randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { cannot } from '../../errors.ts';
import { systemCode } from '../../store/store-error.ts';
import { checkPlain } from '../../text/problems.ts';
import { basicCheck } from '../access/basic.ts';
import type { AccessCheck, AllowAccess } from '../access/check.ts';
import type { BasicLogin, LoginCheck } from '../access/credentials.ts';
import { type Bcrypt, createBcrypt } from './bcrypt.ts';
import { createLogins } from './logins.ts';
import { costOf, type HtpasswdTable, parseHtpasswd } from './parse.ts';

/** An htpasswd file, and who may do what. */
export interface HtpasswdOptions {
  /** Hashes of bcrypt only. */
  readonly path: string;
  /** Name in the challenge. Default: `registry`. */
  readonly realm?: string | undefined;
  /** Default: every user everything. */
  readonly allow?: AllowAccess | undefined;
  /** Milliseconds for which a right login is not checked again. Default 300,000. */
  readonly remembered?: number | undefined;
  /**
   * Called with the login of a new file: if there is none, one with the user `docker` and a random password is made, which only
   * its owner can read. Without this function a missing file is an error.
   */
  readonly onCreated?: ((login: BasicLogin) => void) | undefined;
}

/** The users of a file. It is read again after it has changed. */
export interface Htpasswd {
  /** For `controlAccess`. */
  readonly check: AccessCheck;
  /** For a token endpoint. */
  readonly login: LoginCheck;
  /** A text that changes with the password of a user; undefined if there is no such user. */
  readonly stampOf: (username: string) => Promise<string | undefined>;
  /** Ends the thread that compares passwords. */
  close(): Promise<void>;
}

/**
 * Users of an htpasswd file. `INVALID_CONFIG` with the line for what is not a hash of bcrypt: at the start, and for requests
 * after a change. `UNSUPPORTED` if bcryptjs is not installed. Passwords are compared in one thread of their own.
 */
export async function htpasswd(options: HtpasswdOptions): Promise<Htpasswd> {
  checkPlain('use an htpasswd file', options);
  const { path, realm = 'registry', allow, remembered = 300_000, onCreated } = options;
  const bcrypt = await createBcrypt();
  const read = tableReader(path);
  try {
    await read().catch(async (error: unknown) => {
      if (!onCreated || systemCode((error as Error).cause) !== 'ENOENT') throw error;
      await create(path, bcrypt, onCreated);
      await read();
    });
  } catch (error) {
    await bcrypt.close();
    throw error;
  }
  const checkHash = createLogins({ compare: bcrypt.compare, remembered });
  const secret = randomBytes(32);
  const login: LoginCheck = async (sent, connection) => {
    const table = await read();
    const hash = table.get(sent.username);
    const isRight = await checkHash(sent, hash ?? standIn(sent.username, table, secret), connection?.remoteAddress);
    return isRight && hash !== undefined;
  };
  return {
    check: basicCheck({ realm, login, allow }),
    login,
    async stampOf(username) {
      const hash = (await read()).get(username);
      return hash === undefined ? undefined : createHash('sha256').update(hash).digest('base64url').slice(0, 16);
    },
    close: bcrypt.close,
  };
}

/**
 * A hash for a user that does not exist, so that the refusal takes as long as that of one who does: with the cost of one of the
 * users, always the same for a name.
 */
function standIn(username: string, table: HtpasswdTable, secret: Uint8Array): string {
  const costs = [...table.values()].map(costOf);
  const index = createHmac('sha256', secret).update(username).digest().readUInt32BE() % Math.max(costs.length, 1);
  return `$2b$${String(costs[index] ?? defaultCost).padStart(2, '0')}$${'a'.repeat(53)}`;
}

/** That of `htpasswd -B` is 5, which is too low; this is distribution's. */
const defaultCost = 10;

/** Most bytes of the file. */
const mostBytes = 4 * 1_048_576;

/** Reads a file if it has changed since. */
function tableReader(path: string): () => Promise<HtpasswdTable> {
  let known: { readonly state: string; readonly table: Promise<HtpasswdTable> } | undefined;
  const refuse = (found: string, cause?: unknown) =>
    cannot('INVALID_CONFIG', `read htpasswd file "${path}"`, found, { value: path, cause });
  const failed = (cause: unknown): never => {
    throw refuse(
      systemCode(cause) === 'ENOENT' ? 'it does not exist' : `it cannot be read (${systemCode(cause)})`,
      cause,
    );
  };
  return async () => {
    const { mtimeNs, ctimeNs, size, ino } = await stat(path, { bigint: true }).catch(failed);
    if (size > mostBytes) throw refuse(`it has ${size} bytes, more than ${mostBytes}`);
    const state = [mtimeNs, ctimeNs, size, ino].join();
    if (known?.state !== state) {
      const table = readFile(path, 'utf8')
        .catch(failed)
        .then((text) => parseHtpasswd(text, path));
      known = { state, table };
    }
    return known.table;
  };
}

/** Makes the file as a whole or not at all: another process may want to do so at the same time. */
async function create(path: string, bcrypt: Bcrypt, onCreated: (login: BasicLogin) => void): Promise<void> {
  const login = { username: 'docker', password: randomBytes(32).toString('base64url') };
  const line = `${login.username}:${await bcrypt.hash(login.password, defaultCost)}\n`;
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(temporary, line, { mode: 0o600, flag: 'wx' });
    await link(temporary, path);
    onCreated(login);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return;
    const found = `it cannot be written (${systemCode(error)})`;
    throw cannot('INVALID_CONFIG', `make htpasswd file "${path}"`, found, { value: path, cause: error });
  } finally {
    await rm(temporary, { force: true });
  }
}
