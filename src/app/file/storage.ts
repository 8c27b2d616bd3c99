import { existsSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Client, createClient, memoryStore, parseRepository, type Registry } from '../../index.ts';
import {
  cached,
  described,
  immutable,
  layoutRegistry,
  type MadeRegistry,
  memoryDescriptors,
  memoryRegistry,
  only,
  pullThrough,
  readOnly,
  type StoreRegistry,
  under,
  union,
} from '../../server/index.ts';
import type { AppContext } from '../config/context.ts';
import type { BucketSettings, RegistryNode } from '../config/registry-node.ts';
import type { AppSettings } from '../config/schema.ts';
import type { SharedRedis } from './redis.ts';

type Key = readonly PropertyKey[];

/** A registry that a file describes, and its care. */
export interface AppStorage {
  readonly registry: MadeRegistry;
  /** Fails if the storage cannot be used. */
  check(signal: AbortSignal): Promise<void>;
  /** Drops uploads that nobody has continued for so many milliseconds, where the storage does not do so itself. */
  purge?(age: number): Promise<unknown>;
}

/** What `storage` or `registry` says. */
export async function storageOf(context: AppContext, redis: SharedRedis | undefined): Promise<AppStorage> {
  const { storage = {}, registry, proxy } = context.file.settings;
  const parts: AppStorage[] = [];
  const make = async (part: Promise<AppStorage>): Promise<MadeRegistry> => {
    parts.push(await part);
    return (await part).registry;
  };
  const made = registry
    ? await nodeRegistry(registry, ['registry'], { context, redis, make })
    : await make(proxy ? proxyStorage(proxy, context) : driverOf(context));
  const { cache, maintenance } = storage;
  const blobs = cache?.blobdescriptor ?? cache?.layerinfo;
  const entries = cache?.blobdescriptorsize;
  const kept = blobs ? withCache(made, blobs, { context, redis, entries }) : made;
  const purges = parts.flatMap(({ purge }) => purge ?? []);
  return {
    registry: maintenance?.readonly?.enabled ? readOnly(kept) : kept,
    check: async (signal) => {
      for (const { check } of parts) await check(signal);
    },
    ...(purges.length > 0 && { purge: (age: number) => Promise.all(purges.map((purge) => purge(age))) }),
  };
}

function driverOf(context: AppContext): Promise<AppStorage> {
  const { filesystem, s3 } = context.file.settings.storage ?? {};
  if (filesystem)
    return directoryStorage(filesystem.rootdirectory, ['storage', 'filesystem', 'rootdirectory'], context);
  return s3 ? bucketStorage(s3, ['storage', 's3'], context) : memoryStorage();
}

const memoryStorage = async (): Promise<AppStorage> => ({ registry: memoryRegistry(), check: async () => {} });

async function directoryStorage(path: string, key: Key, { pathOf, file }: AppContext): Promise<AppStorage> {
  const directory = pathOf(path);
  // Its blobs are in folders of another kind, which would all be missing.
  if (existsSync(join(directory, 'docker', 'registry', 'v2')))
    throw file.refuse(
      key,
      'found a directory that distribution has written, whose format is another one: copy the images',
    );
  try {
    await mkdir(directory, { recursive: true });
  } catch (error) {
    throw file.refuse(key, `found a directory that cannot be made (${(error as NodeJS.ErrnoException).code})`);
  }
  const check = async (): Promise<void> => {
    if (!(await stat(directory)).isDirectory()) throw new Error('the directory of the registry is gone');
  };
  return { registry: layoutRegistry(directory), check };
}

async function bucketStorage(settings: BucketSettings, key: Key, context: AppContext): Promise<AppStorage> {
  const { bucket, region, regionendpoint, forcepathstyle, rootdirectory = '' } = settings;
  const packages = ['@aws-sdk/client-s3', '@aws-sdk/s3-request-presigner'];
  const { s3Registry } = await context.load(key, packages, () => import('../../server/s3/index.ts'));
  const secretOf = async (name: 'accesskey' | 'secretkey' | 'sessiontoken') => {
    const setting = settings[name];
    return setting === undefined ? undefined : context.secretOf(setting, [...key, name]);
  };
  const [accessKeyId, secretAccessKey] = [await secretOf('accesskey'), await secretOf('secretkey')];
  const sessionToken = await secretOf('sessiontoken');
  const registry = s3Registry({
    bucket,
    region,
    endpoint: regionendpoint,
    pathStyle: forcepathstyle,
    prefix: rootdirectory.replace(/^\/+/, ''),
    redirect: !(context.file.settings.storage?.redirect?.disable ?? regionendpoint !== undefined),
    ...(accessKeyId && secretAccessKey && { credentials: { accessKeyId, secretAccessKey, sessionToken } }),
  });
  context.onClose(() => registry.close());
  return {
    registry,
    check: (signal) => registry.check({ signal }),
    purge: (age) => registry.purgeUploads(age),
  };
}

function withCache(
  registry: Registry,
  kind: 'inmemory' | 'redis',
  {
    context,
    redis,
    entries = 10_000,
  }: { readonly context: AppContext; readonly redis: SharedRedis | undefined; readonly entries?: number | undefined },
): MadeRegistry {
  const onError = (error: unknown): void => context.warn(error);
  const memory = () => memoryDescriptors({ entries: entries === 0 ? Number.MAX_SAFE_INTEGER : entries });
  return described(registry, { cache: kind === 'redis' && redis ? redis.descriptors : memory(), onError });
}

interface NodeParts {
  readonly context: AppContext;
  readonly redis: SharedRedis | undefined;
  make(part: Promise<AppStorage>): Promise<MadeRegistry>;
}

/** A registry made of parts, as `registry` nests them. */
async function nodeRegistry(node: RegistryNode, key: Key, parts: NodeParts): Promise<MadeRegistry> {
  const { context, make } = parts;
  const inner = (one: RegistryNode, ...more: string[]) => nodeRegistry(one, [...key, ...more], parts);
  if ('directory' in node) return make(directoryStorage(node.directory, [...key, 'directory'], context));
  if ('memory' in node) return make(memoryStorage());
  if ('s3' in node) return make(bucketStorage(node.s3, [...key, 's3'], context));
  if ('remote' in node) return remoteRegistry(node.remote, [...key, 'remote'], context);
  if ('readOnly' in node) return readOnly(await inner(node.readOnly, 'readOnly'));
  if ('immutable' in node) return immutable(await inner(node.immutable, 'immutable'));
  if ('under' in node) return under(await inner(node.under.registry, 'under', 'registry'), node.under.prefix);
  if ('only' in node) return only(await inner(node.only.registry, 'only', 'registry'), node.only.names);
  if ('described' in node) {
    const registry = await inner(node.described.registry, 'described', 'registry');
    return withCache(registry, node.described.cache ?? 'inmemory', parts);
  }
  if ('cached' in node) {
    const origin = await inner(node.cached.origin, 'cached', 'origin');
    const store = await inner(node.cached.store, 'cached', 'store');
    return cached(origin, storesOf(store), { onError: (error) => context.warn(error) });
  }
  const { first, second, writes } = node.union;
  return union(await inner(first, 'union', 'first'), await inner(second, 'union', 'second'), {
    ...(writes && { writes }),
  });
}

/** A registry that content can be kept in. */
const storesOf = (registry: Registry) => registry as StoreRegistry;

/** A mirror of another registry, which keeps what it gets where `storage` says. */
async function proxyStorage(proxy: NonNullable<AppSettings['proxy']>, context: AppContext): Promise<AppStorage> {
  const { remoteurl, username, password, bytes } = proxy;
  const { filesystem, s3 } = context.file.settings.storage ?? {};
  const { host } = new URL(remoteurl);
  const upstream = /^(?:registry-1\.|index\.)?docker\.io$/.test(host) ? 'docker.io' : host;
  const login = username !== undefined &&
    password !== undefined && {
      username: await context.secretOf(username, ['proxy', 'username']),
      password: await context.secretOf(password, ['proxy', 'password']),
    };
  const url = upstream === host ? remoteurl.replace(/\/$/, '') : undefined;
  const client = clientOf({ host, url, login: login || undefined }, context);
  if (s3) {
    const { registry, ...rest } = await bucketStorage(s3, ['storage', 's3'], context);
    const origin = readBy(client, upstream);
    return { registry: cached(origin, storesOf(registry), { onError: (error) => context.warn(error) }), ...rest };
  }
  const store = filesystem ? context.pathOf(filesystem.rootdirectory) : memoryStore();
  const mirror = pullThrough({ store, upstream, client, bytes });
  context.onClose(() => mirror.close());
  return { registry: mirror, check: async () => {} };
}

/** Another registry, read by a client. */
function remoteRegistry(remote: string, key: Key, context: AppContext): MadeRegistry {
  const host = remote.replace(/^https?:\/\//, '').replace(/\/$/, '');
  try {
    parseRepository(`${host}/x/y`);
  } catch {
    throw context.file.refuse(key, 'found no registry, expected its host, as registry.example:5000');
  }
  return readBy(clientOf({ host, url: remote.startsWith('http') ? remote : undefined }, context), host);
}

interface RemoteHost {
  readonly host: string;
  /** Where it is, if not where its name says. */
  readonly url: string | undefined;
  readonly login?: { readonly username: string; readonly password: string } | undefined;
}

/** A client of another registry, until the app ends. */
function clientOf({ host, url, login }: RemoteHost, { onClose }: AppContext): Client {
  const registries = url === undefined ? {} : { [host]: { origin: { url } } };
  const client = createClient({ config: { registries, ...(login && { credentials: { [host]: login } }) } });
  onClose(() => client.close());
  return client;
}

const readBy =
  (client: Client, host: string): Registry =>
  ({ name }) =>
    client.fetcher(`${host}/${name}`).source;
