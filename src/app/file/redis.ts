import type { DescriptorCache } from '../../server/index.ts';
import type { AppContext } from '../config/context.ts';

/** The Redis of an app, and what is shared in it. */
export interface SharedRedis {
  readonly descriptors: DescriptorCache;
  check(signal?: AbortSignal): Promise<void>;
}

/** The Redis that the file names; undefined for none. */
export async function redisOf(context: AppContext): Promise<SharedRedis | undefined> {
  const { redis } = context.file.settings;
  if (!redis) return undefined;
  const part = () => import('../../server/redis/index.ts');
  const { connectRedis, redisDescriptors } = await context.load(['redis'], ['@redis/client'], part);
  const { username, password, db, tls, dialtimeout, readtimeout, writetimeout } = redis;
  const textsOf = async (paths: readonly string[] | undefined, key: string) =>
    paths && (await Promise.all(paths.map((path) => context.textOf(path, ['redis', 'tls', key])))).join('\n');
  const response = Math.max(readtimeout ?? 0, writetimeout ?? 0);
  const connection = connectRedis({
    url: `redis${tls?.enabled ? 's' : ''}://${redis.addr ?? redis.addrs?.[0]}`,
    username,
    password: password === undefined ? undefined : await context.secretOf(password, ['redis', 'password']),
    database: db,
    timeouts: { connect: wholeMilliseconds(dialtimeout), response: wholeMilliseconds(response) },
    ...(tls?.enabled && {
      tls: {
        ca: await textsOf(tls.rootcas ?? tls.clientcas, 'rootcas'),
        certificate: await textsOf(tls.certificate === undefined ? undefined : [tls.certificate], 'certificate'),
        key: await textsOf(tls.key === undefined ? undefined : [tls.key], 'key'),
        serverName: tls.servername,
      },
    }),
    connections: redis.pool?.maxactive || redis.poolsize || undefined,
    idle: wholeMilliseconds(redis.pool?.idletimeout ?? redis.connmaxidletime),
  });
  context.onClose(() => connection.close());
  return { descriptors: redisDescriptors(connection), check: (signal) => connection.check(signal) };
}

/** Undefined for none, and for 0, which means the default. */
const wholeMilliseconds = (value: number | undefined): number | undefined =>
  value === undefined || value === 0 ? undefined : Math.max(1, Math.round(value));
