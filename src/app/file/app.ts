import {
  type Handler,
  type ListenOptions,
  type ListenTls,
  listen,
  type MadeRegistry,
  type Notifications,
  notifications,
  type ServeOptions,
  type ServerEvent,
  serve,
  wrapHandler,
} from '../../server/index.ts';
import { type AppContext, createContext } from '../config/context.ts';
import { readAppFile } from '../config/read.ts';
import { type AppSettings, withoutEffect } from '../config/schema.ts';
import { errorText } from '../printable.ts';
import type { RunningServer } from '../server.ts';
import { withAccess } from './access.ts';
import { type Health, startHealth } from './health.ts';
import {
  withCatalogPages,
  withForwarded,
  withHeaders,
  withHealth,
  withLocations,
  withPrefix,
  withRequestId,
} from './http-rules.ts';
import { middlewareOf } from './middleware.ts';
import { redisOf } from './redis.ts';
import { type AppLog, createLog } from './request-log.ts';
import { storageOf } from './storage.ts';

/** What an app is started with, besides its file. */
export interface AppOptions {
  readonly environment: NodeJS.ProcessEnv;
  /** Writes one line of the log. */
  readonly write: (line: string) => void;
  /** In place of `http.addr`. */
  readonly listen?: { readonly host: string; readonly port: number } | undefined;
}

/** An app that runs. */
export interface RunningApp extends RunningServer {
  /** Milliseconds that requests under way may take when it ends. */
  readonly drain: number;
  /** Where health and metrics are, if not only at the address of the registry. */
  readonly debugUrl: string | undefined;
}

/** Milliseconds for requests under way when nothing else is said. */
const defaultDrain = 10_000;
/** Where a registry listens when nothing is said. */
const defaultAddress = { host: '127.0.0.1', port: 5_000 };

/**
 * Starts the registry that a file describes. `INVALID_CONFIG` with `file:line:column` for what is wrong in it; rejects with the
 * system's error if an address cannot be used.
 */
export async function startApp(path: string, options: AppOptions): Promise<RunningApp> {
  const file = await readAppFile(path, options.environment);
  const log = createLog(file.settings.log, options.write);
  const warn = (error: unknown): void => log.line('warn', errorText(error) ?? 'something failed');
  const announce = (text: string): void => log.line('warn', text);
  for (const text of withoutEffect(file.settings)) announce(`without effect here: ${text}`);
  const { context, close } = createContext(path, file, { environment: options.environment, warn, announce });
  try {
    return await start(context, log, { ...options, closeParts: close });
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  context: AppContext,
  log: AppLog,
  { listen: given, closeParts }: AppOptions & { readonly closeParts: () => Promise<void> },
): Promise<RunningApp> {
  const { http = {} } = context.file.settings;
  const redis = await redisOf(context);
  const storage = await storageOf(context, redis);
  const middleware = await middlewareOf(context);
  const registry = await middleware.registry(storage.registry);
  const sent = await notificationsOf(context, registry, baseOf(http));
  const metrics = await metricsOf(context, sent);
  startPurging(context, storage.purge);
  const health = startHealth(context, storage.check);
  context.onClose(() => health.close());
  let active = 0;
  const onEvent = (event: ServerEvent): void => {
    log.response({ ...event, address: event.connection?.remoteAddress });
    sent?.observe(event);
    metrics?.observe(event);
  };
  const handler = await handlerOf(context, { registry, health, middleware, onEvent, log });
  const counted = wrapHandler(handler, async (request, connection) => {
    active += 1;
    return handler(request, connection).finally(() => {
      active -= 1;
    });
  });
  const tls = await tlsOf(context);
  const where: ListenOptions = { ...(given ?? http.addr ?? defaultAddress), ...(tls && { tls }) };
  const main = await listen(counted, where);
  const debug = http.debug?.addr && (await listen(debugHandler(health, metrics), http.debug.addr));
  const drain = http.draintimeout || defaultDrain;
  return {
    url: main.url,
    port: main.port,
    drain,
    debugUrl: debug?.url,
    active: () => active,
    stop: async (limit) => {
      const begun = performance.now();
      await main.close({ drain: limit });
      await debug?.close();
      await closeParts();
      return performance.now() - begun < limit || active === 0;
    },
  };
}

/** The URL that all paths are below, if the file says it. */
const baseOf = ({ host, prefix = '/' }: NonNullable<AppSettings['http']>): string | undefined =>
  host === undefined ? undefined : host.replace(/\/$/, '') + prefix.slice(0, -1);

interface HandlerParts {
  readonly registry: MadeRegistry;
  readonly health: Health;
  readonly middleware: Awaited<ReturnType<typeof middlewareOf>>;
  readonly onEvent: (event: ServerEvent) => void;
  readonly log: AppLog;
}

/** From the outside in: what proxies say, id, headers, health, locations, prefix, pages, middleware, access, registry. */
async function handlerOf(context: AppContext, parts: HandlerParts): Promise<Handler> {
  const { settings } = context.file;
  const { http = {} } = settings;
  const reached = new Set<string>();
  const served = serve(parts.registry, { ...serveOptions(context), onEvent: parts.onEvent });
  const noted = wrapHandler(served, (request, connection) => {
    reached.add(request.headers.get('x-request-id') ?? '');
    return served(request, connection);
  });
  const checked = await withAccess(noted, context);
  const inner = withCatalogPages(await parts.middleware.handler(checked), settings);
  const placed = withLocations(withPrefix(inner, http.prefix), settings);
  const outer = withHeaders(withHealth(placed, parts.health), http.headers);
  const reported = wrapHandler(outer, async (request, connection) => {
    const started = performance.now();
    const response = await outer(request, connection);
    const id = request.headers.get('x-request-id') ?? '';
    if (!reached.delete(id)) {
      const { status, headers } = response;
      const bytes = Number(headers.get('content-length') ?? 0);
      const duration = performance.now() - started;
      const address = connection?.remoteAddress;
      parts.log.response({ request, action: 'none', status, bytes, duration, address });
    }
    return response;
  });
  return withForwarded(withRequestId(reported), settings, context);
}

function serveOptions({ file: { settings }, warn }: AppContext): ServeOptions {
  const { storage, registry, tags } = settings;
  const age = storage?.maintenance?.uploadpurging?.age;
  const [redirect] = settings.middleware?.storage ?? [];
  return {
    statuses: 'distribution',
    // As distribution, unless the file says so; a registry of parts says itself what can be written.
    deletes: storage?.delete?.enabled ?? registry !== undefined,
    ...(tags?.maxtags !== undefined && { mostListed: tags.maxtags }),
    ...(redirect && !redirect.disabled && { locate: (target) => [blobUrl(redirect.options.baseurl, target.digest)] }),
    ...(age !== undefined && { uploadIdle: Math.min(age, 2 ** 31 - 1) }),
    onError: warn,
  };
}

/** Where distribution keeps a blob, below a URL at which its storage can be read. */
function blobUrl(base: string, digest: string): string {
  const [algorithm, hex = ''] = digest.split(':');
  return `${base.replace(/\/$/, '')}/docker/registry/v2/blobs/${algorithm}/${hex.slice(0, 2)}/${hex}/data`;
}

async function tlsOf(context: AppContext): Promise<ListenTls | undefined> {
  const { tls } = context.file.settings.http ?? {};
  if (!tls?.certificate || !tls.key) return undefined;
  const read = (path: string, ...key: PropertyKey[]) => context.textOf(path, ['http', 'tls', ...key]);
  const authorities = tls.clientcas ?? [];
  const ca = await Promise.all(authorities.map((path, index) => read(path, 'clientcas', index)));
  const isOptional = tls.clientauth === 'verify-client-cert-if-given';
  return {
    cert: await read(tls.certificate, 'certificate'),
    key: await read(tls.key, 'key'),
    ...(tls.minimumtls && { minimumVersion: tls.minimumtls === 'tls1.3' ? '1.3' : '1.2' }),
    ...(ca.length > 0 && { ca: ca.join('\n'), clientCertificate: isOptional ? 'request' : 'require' }),
  };
}

/** What the file wants to be notified; undefined for nobody. */
async function notificationsOf(
  context: AppContext,
  registry: MadeRegistry,
  baseUrl: string | undefined,
): Promise<Notifications | undefined> {
  const { endpoints = [], events, directory } = context.file.settings.notifications ?? {};
  const used = endpoints.map((endpoint, index) => ({ endpoint, index })).filter(({ endpoint }) => !endpoint.disabled);
  if (used.length === 0) return undefined;
  const made = await Promise.all(
    used.map(async ({ endpoint, index }) => {
      const { name, url, timeout, threshold, backoff, ignore, ignoredmediatypes = [], headers = {} } = endpoint;
      const read = async ([header, value]: [string, (typeof headers)[string]]) => {
        const key = ['notifications', 'endpoints', index, 'headers', header];
        return [header, await Promise.all([value].flat().map((one) => context.secretOf(one, key)))] as const;
      };
      return {
        ...{ name, url, threshold },
        timeout: timeout === undefined ? undefined : Math.max(1, Math.round(timeout)),
        backoff: backoff === undefined ? undefined : Math.max(1, Math.round(backoff)),
        headers: Object.fromEntries(await Promise.all(Object.entries(headers).map(read))),
        ignore: { mediaTypes: [...ignoredmediatypes, ...(ignore?.mediatypes ?? [])], actions: ignore?.actions ?? [] },
      };
    }),
  );
  const sent = notifications({
    endpoints: made,
    baseUrl,
    onError: (error) => context.warn(error),
    ...(directory !== undefined && { directory: context.pathOf(directory) }),
    ...(events?.includereferences && { references: registry }),
  });
  context.onClose(() => sent.close({ drain: 1_000 }));
  return sent;
}

const [week, day] = [604_800_000, 86_400_000];

/** Drops abandoned uploads from time to time, where the storage does not do so itself. */
function startPurging(context: AppContext, purge: ((age: number) => Promise<unknown>) | undefined): void {
  const {
    enabled = true,
    age = week,
    interval = day,
  } = context.file.settings.storage?.maintenance?.uploadpurging ?? {};
  if (!purge || !enabled) return;
  const run = (): void => void purge(age).catch((error: unknown) => context.warn(error));
  const timer = setInterval(run, Math.min(Math.max(interval, 1_000), 2 ** 31 - 1));
  timer.unref();
  run();
  context.onClose(() => clearInterval(timer));
}

/** The figures of an app, and their path. */
interface Metrics {
  readonly path: string;
  readonly observe: (event: ServerEvent) => void;
  readonly handler: Handler;
}

/** What `http.debug.prometheus` wants. */
async function metricsOf(context: AppContext, sent: Notifications | undefined): Promise<Metrics | undefined> {
  const { prometheus } = context.file.settings.http?.debug ?? {};
  if (!prometheus?.enabled) return undefined;
  const key = ['http', 'debug', 'prometheus'];
  const { serverMetrics } = await context.load(key, ['prom-client'], () => import('../../server/metrics/index.ts'));
  return { path: prometheus.path ?? '/metrics', ...serverMetrics(sent ? { notifications: () => sent.status() } : {}) };
}

/** What operators ask: whether the checks pass. */
const debugHandler =
  (health: Health, metrics?: Metrics): Handler =>
  async (request, connection) => {
    const failures = health.failures();
    const status = Object.keys(failures).length === 0 ? 200 : 503;
    const { pathname } = new URL(request.url);
    if (metrics && pathname === metrics.path) return metrics.handler(request, connection);
    if (/^\/(?:debug\/health|healthz)$/.test(pathname)) return Response.json(failures, { status });
    return new Response('404 page not found\n', { status: 404 });
  };
