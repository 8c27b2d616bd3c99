import { createClient, ErrorReply, type RedisClientType } from '@redis/client';
import { unlessAborted } from '../../abort.ts';
import { cannot, configError, messageOf, RegistryError } from '../../errors.ts';
import { keepSecret, keepUrl } from '../../redaction.ts';
import { type Checks, checkOptions, filledText, urlLike, wholeNumber } from '../../text/problems.ts';

/** Where a Redis is, and how long to wait for it. */
export interface RedisOptions {
  /** `redis://host:6379`, `rediss://…` for TLS, or `redis+unix:///path` for a socket; a login in it counts unless one is given beside it. */
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Number of the database. Default: that of the URL, otherwise 0. */
  readonly database?: number | undefined;
  /** Begins every key. Default: nothing, so that keys are those of distribution. */
  readonly prefix?: string | undefined;
  /** Certificates and key in PEM, for `rediss:`. */
  readonly tls?: {
    readonly ca?: string | undefined;
    readonly certificate?: string | undefined;
    readonly key?: string | undefined;
    readonly serverName?: string | undefined;
  };
  /** Milliseconds for a connection and for a response. Defaults: 1,000 and 500. */
  readonly timeouts?: { readonly connect?: number | undefined; readonly response?: number | undefined };
  /** Connections that commands are spread over. Default: 1, which carries any number of commands at a time. */
  readonly connections?: number | undefined;
  /** Milliseconds without a command after which a connection is closed. Default: it stays open. */
  readonly idle?: number | undefined;
  /** Milliseconds without a request after a failure, in which every call fails at once. Default: 1,000. */
  readonly pause?: number | undefined;
}

/** A command and its arguments. */
export type RedisCommand = readonly [name: string, ...keys: string[]];

/** A connection to a Redis that is opened when it is used, and again after it broke. */
export interface Redis {
  /** Begins every key. */
  readonly prefix: string;
  /**
   * The replies to commands that are sent together. `UNAVAILABLE` or `TIMEOUT`, also for a while after a failure; `STORE_ERROR`
   * if Redis refuses one of them.
   */
  run(...commands: readonly RedisCommand[]): Promise<readonly unknown[]>;
  /** Fails if it cannot be used now. */
  check(signal?: AbortSignal): Promise<void>;
  close(): void;
}

const url = urlLike(/^(?:rediss?|redis\+unix):\/\//i, 'redis://localhost:6379');
const milliseconds = wholeNumber(1, 60_000);

const checks: Checks = {
  url,
  username: filledText,
  password: filledText,
  database: wholeNumber(0),
  prefix: filledText,
  tls: () => ({ ca: filledText, certificate: filledText, key: filledText, serverName: filledText }),
  timeouts: () => ({ connect: milliseconds, response: milliseconds }),
  connections: wholeNumber(1, 1_000),
  idle: wholeNumber(1),
  pause: wholeNumber(0, 3_600_000),
};

/** Most commands that wait for a reply; one more fails, as whoever uses a cache can do without it. */
const mostCommands = 10_000;

/**
 * Uses a Redis, as a place that may be slow or gone: nobody waits for it longer than `timeouts`, and not at all for a while after
 * it failed. Needs `@redis/client`. Whoever calls it closes it.
 */
export function connectRedis(options: RedisOptions): Redis {
  keepSecrets(options);
  checkOptions('use a Redis', options, checks);
  if (options.url === undefined) throw configError('use a Redis', [{ key: 'url', found: 'it is missing' }]);
  const { prefix = '', connections = 1 } = options;
  const pool = Array.from({ length: connections }, () => connectionOf(options));
  let turn = 0;
  const run: Redis['run'] = (...commands) => {
    turn = (turn + 1) % pool.length;
    return (pool[turn] as Connected).run(commands);
  };
  return {
    prefix,
    run,
    check: async (signal) => {
      await unlessAborted(run(['PING']), signal);
    },
    close: () => {
      for (const one of pool) one.close();
    },
  };
}

/** One connection. */
interface Connected {
  run(commands: readonly RedisCommand[]): Promise<readonly unknown[]>;
  close(): void;
}

function connectionOf(options: RedisOptions): Connected {
  const { pause = 1_000, timeouts = {}, idle } = options;
  const { response = 500, connect = 1_000 } = timeouts;
  let isClosed = false;
  let failedAt = Number.NEGATIVE_INFINITY;
  let opening: Promise<RedisClientType> | undefined;

  const drop = (client: RedisClientType): void => {
    opening = undefined;
    if (client.isOpen) client.destroy();
  };
  const open = async (): Promise<RedisClientType> => {
    const client = createClient(clientOptions(options, connect)) as RedisClientType;
    // Each command reports its own failure; without a listener the process would end.
    client.on('error', () => drop(client));
    await within(client.connect(), connect + response);
    return client;
  };
  const use = async <T>(work: (client: RedisClientType) => Promise<T>): Promise<T> => {
    if (isClosed) throw cannot('CLOSED', 'use Redis', 'it was closed');
    if (performance.now() - failedAt < pause) throw cannot('UNAVAILABLE', 'use Redis', 'it failed a moment ago');
    opening ??= open();
    const current = opening;
    try {
      return await within(work(await current), response);
    } catch (error) {
      if (error instanceof ErrorReply) throw cannot('STORE_ERROR', 'use Redis', messageOf(error), { cause: error });
      failedAt = performance.now();
      if (opening === current) opening = undefined;
      current.then(drop, () => {});
      throw error instanceof RegistryError
        ? error
        : cannot('UNAVAILABLE', 'use Redis', messageOf(error), { cause: error });
    }
  };
  let resting: ReturnType<typeof setTimeout> | undefined;
  const rest = (): void => {
    clearTimeout(resting);
    if (idle === undefined) return;
    resting = setTimeout(() => opening?.then(drop, () => {}), idle);
    resting.unref?.();
  };
  return {
    run: (commands) =>
      use((client) => Promise.all(commands.map((command) => client.sendCommand([...command])))).finally(rest),
    close: () => {
      isClosed = true;
      clearTimeout(resting);
      opening?.then(drop, () => {});
    },
  };
}

/** No error, event or log shows them. */
function keepSecrets({ url: address, password }: Partial<RedisOptions>): void {
  if (typeof password === 'string') keepSecret(password);
  if (typeof address === 'string' && URL.canParse(address)) keepUrl(new URL(address));
}

function clientOptions(options: RedisOptions, connectTimeout: number): object {
  const { username, password, database, tls } = options;
  const { protocol, pathname } = new URL(options.url);
  const common = { connectTimeout, reconnectStrategy: false };
  const socket =
    protocol === 'redis+unix:'
      ? { ...common, path: decodeURIComponent(pathname), tls: false }
      : protocol === 'rediss:'
        ? {
            ...common,
            tls: true,
            ...(tls?.ca !== undefined && { ca: tls.ca }),
            ...(tls?.certificate !== undefined && { cert: tls.certificate }),
            ...(tls?.key !== undefined && { key: tls.key }),
            ...(tls?.serverName !== undefined && { servername: tls.serverName }),
          }
        : common;
  return {
    ...(protocol !== 'redis+unix:' && { url: options.url }),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
    socket,
    disableOfflineQueue: true,
    commandsQueueMaxLength: mostCommands,
    maintNotifications: 'disabled',
  };
}

/** The result, or `TIMEOUT` after so many milliseconds. */
async function within<T>(result: Promise<T>, limit: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(cannot('TIMEOUT', 'use Redis', `no reply in ${limit} ms`)), limit);
  });
  try {
    return await Promise.race([result, late]);
  } finally {
    clearTimeout(timer);
  }
}
