import { pathToFileURL } from 'node:url';
import { type Handler, immutable, type MadeRegistry, readOnly, wrapHandler } from '../../server/index.ts';
import type { AppContext } from '../config/context.ts';
import { errorText } from '../printable.ts';
import { refusal } from './http-rules.ts';

/** Changes a registry; the whole of `options` is what the file says. */
export type RegistryMiddleware = (
  registry: MadeRegistry,
  options: Readonly<Record<string, unknown>>,
) => MadeRegistry | Promise<MadeRegistry>;

/** Changes what is around a registry. */
export type HandlerMiddleware = (
  options: Readonly<Record<string, unknown>>,
) => ((next: Handler) => Handler) | Promise<(next: Handler) => Handler>;

/** What a module of somebody else may export for `middleware.registry`: at least one of both. */
export interface MiddlewareModule {
  readonly registry?: RegistryMiddleware;
  readonly handler?: HandlerMiddleware;
}

type Options = Readonly<Record<string, unknown>>;

const own: Readonly<Record<string, MiddlewareModule>> = {
  readonly: { registry: (registry) => readOnly(registry) },
  immutable: { registry: (registry) => immutable(registry) },
  ratelimit: { handler: rateLimit },
  maxbytes: { handler: mostBytes },
};

/** What middleware makes of an app. */
export interface AppMiddleware {
  registry(registry: MadeRegistry): Promise<MadeRegistry>;
  /** The first one of the file is the outermost. */
  handler(next: Handler): Promise<Handler>;
}

/** The middleware of the file. `INVALID_CONFIG` for a name that is neither one of this program nor a module. */
export async function middlewareOf(context: AppContext): Promise<AppMiddleware> {
  const { middleware } = context.file.settings;
  const entries = (middleware?.registry ?? []).map((entry, index) => ({ ...entry, index }));
  const used: { readonly module: MiddlewareModule; readonly options: Options; readonly index: number }[] = [];
  // The last one of the file is the innermost.
  for (const { name, disabled, options = {}, index } of entries)
    if (!disabled) used.unshift({ module: await moduleOf(name, index, context), options, index });
  const made = async <T>(index: number, work: () => T | Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw context.file.refuse(['middleware', 'registry', index, 'options'], errorText(error) ?? 'it failed');
    }
  };
  return {
    registry: async (registry) => {
      let result = registry;
      for (const { module, options, index } of used) {
        const inner = result;
        if (module.registry) result = await made(index, () => module.registry?.(inner, options) ?? inner);
      }
      return result;
    },
    handler: async (next) => {
      let result = next;
      for (const { module, options, index } of used) {
        const wrap = module.handler && (await made(index, () => module.handler?.(options)));
        if (wrap) result = wrap(result);
      }
      return result;
    },
  };
}

async function moduleOf(name: string, index: number, { file, pathOf }: AppContext): Promise<MiddlewareModule> {
  const known = Object.hasOwn(own, name) ? own[name] : undefined;
  if (known) return known;
  const refuse = (found: string): Error => file.refuse(['middleware', 'registry', index, 'name'], found);
  if (!/^\.{0,2}\/|^[\w@][\w@/.-]*\.m?js$/.test(name))
    throw refuse(`found "${name}", expected one of ${Object.keys(own).join(', ')}, or the path of a module`);
  const module = (await import(pathToFileURL(pathOf(name)).href).catch((error: unknown) => {
    throw refuse(`found a module that cannot be loaded: ${errorText(error)}`);
  })) as MiddlewareModule;
  if (!module.registry && !module.handler) throw refuse('found a module that exports neither registry nor handler');
  return module;
}

const numberIn = (options: Options, name: string, fallback?: number): number => {
  const value = options[name] ?? fallback;
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw new Error(`found ${String(value)} for "${name}", expected a number above 0`);
};

/** Most addresses that are counted at a time. */
const mostAddresses = 100_000;

/** Lets each client address make so many requests in so many seconds; more are 429 with `Retry-After`. */
function rateLimit(options: Options): (next: Handler) => Handler {
  const [requests, seconds] = [numberIn(options, 'requests'), numberIn(options, 'seconds', 60)];
  let counts = new Map<string, number>();
  let begun = performance.now();
  return (next) =>
    wrapHandler(next, async (request, connection) => {
      const now = performance.now();
      if (now - begun > seconds * 1_000 || counts.size >= mostAddresses) {
        counts = new Map();
        begun = now;
      }
      const address = connection?.remoteAddress ?? '';
      const count = (counts.get(address) ?? 0) + 1;
      counts.set(address, count);
      if (count <= requests) return next(request, connection);
      const wait = Math.max(1, Math.ceil(seconds - (now - begun) / 1_000));
      const error = { code: 'TOOMANYREQUESTS', message: 'too many requests' };
      return refusal(429, error, { 'retry-after': String(wait) });
    });
}

/** Refuses uploads whose announced length is over a bound. */
function mostBytes(options: Options): (next: Handler) => Handler {
  const most = numberIn(options, 'bytes');
  return (next) =>
    wrapHandler(next, async (request, connection) => {
      const length = Number(request.headers.get('content-length') ?? 0);
      if (length <= most) return next(request, connection);
      return refusal(413, { code: 'SIZE_INVALID', message: `more than ${most} bytes` });
    });
}
