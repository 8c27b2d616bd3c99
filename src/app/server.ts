import {
  basicAccess,
  type Handler,
  type ListenOptions,
  listen,
  type ServerEvent,
  type Users,
  wrapHandler,
} from '../server/index.ts';
import type { ServedEvent } from './log.ts';
import { pageRoute } from './page-route.ts';
import type { Site, SiteStatus } from './site.ts';
import { createStatistics, type Statistics } from './statistics.ts';

/** Milliseconds for which the list of repositories on the page may be old. */
const listAge = 10_000;
/** Most names of repositories without traffic that the page gets. */
const mostNames = 100;

/** Where a site is, who may use it, and who hears of it. */
export interface ServerOptions extends SiteOptions {
  readonly listen: ListenOptions;
}

/** Who may use a site, and who hears of it. */
export interface SiteOptions {
  /** Users of everything, the page included. Default: everyone. */
  readonly users?: Users | undefined;
  /** False: no page, and no status. */
  readonly hasPage?: boolean | undefined;
  readonly onEvent?: ((event: ServedEvent) => void) | undefined;
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** A site on its socket. */
export interface RunningServer {
  /** `http://127.0.0.1:5000` */
  readonly url: string;
  readonly port: number;
  /** Number of requests under way. */
  readonly active: () => number;
  /** Takes no more requests, and lets those under way end, at most `limit` milliseconds. Whether they did. */
  stop(limit: number): Promise<boolean>;
}

/** Starts a site. Rejects with the system's error if the address cannot be used. */
export async function startServer(site: Site, { listen: where, ...options }: ServerOptions): Promise<RunningServer> {
  const { handler, statistics } = servedSite(site, options);
  const { url, port, close } = await listen(handler, where);
  const active = (): number => statistics.active;
  return {
    url,
    port,
    active,
    stop: async (limit) => {
      let isCut = false;
      const late = setTimeout(() => {
        isCut = active() > 0;
      }, limit);
      await close({ drain: limit });
      clearTimeout(late);
      await site.close?.();
      return !isCut;
    },
  };
}

/**
 * Puts a site together: what counts requests is around the access check, which is around the page and the site. Requests of
 * the page are not counted, as it makes them all the time.
 */
export function servedSite(
  site: Site,
  options: SiteOptions = {},
): { readonly handler: Handler; readonly statistics: Statistics } {
  const { users, hasPage = true, onEvent, onError } = options;
  const statistics = createStatistics(site);
  const addresses = new WeakMap<Request, string>();
  /** Requests that the site or its page has taken; the access check has refused all others. */
  const taken = new WeakSet<Request>();
  const note = (event: ServerEvent): void => {
    statistics.end(event);
    onEvent?.({ ...event, address: addresses.get(event.request) });
  };
  const inner = site.handler({ onEvent: note, ...(onError && { onError }) });
  const counted = wrapHandler(inner, (request, connection) => {
    taken.add(request);
    return inner(request, connection);
  });
  const page = pageRoute({ status: statusOf(site, statistics), hasHome: site.hasHome });
  const routed = wrapHandler(counted, (request, connection) => {
    if (!hasPage || !page.has(request)) return counted(request, connection);
    taken.add(request);
    statistics.forget(request);
    return page.respond(request);
  });
  const checked = users ? basicAccess({ realm: 'ocifetch', users })(routed) : routed;
  return {
    statistics,
    handler: wrapHandler(checked, async (request, connection) => {
      const started = performance.now();
      const address = connection?.remoteAddress;
      if (address !== undefined) addresses.set(request, address);
      statistics.begin(request, address);
      const response = await checked(request, connection);
      if (!taken.has(request)) note(refusal(request, response, performance.now() - started));
      return response;
    }),
  };
}

/** What is reported of a request that the access check has refused. */
function refusal(request: Request, { status, headers }: Response, duration: number): ServerEvent {
  return { request, action: 'none', status, bytes: Number(headers.get('content-length') ?? 0), duration };
}

/** The status at the moment. Repositories are listed anew when somebody looks and the list is old. */
function statusOf(site: Site, statistics: Statistics): () => Promise<SiteStatus> {
  const { kind, about } = site;
  let listed: SiteStatus['repositories'];
  let listedAt = Number.NEGATIVE_INFINITY;
  let listing: Promise<void> | undefined;
  const list = async (): Promise<void> => {
    const names = (await site.repositories?.().catch(() => undefined)) ?? [];
    listed = { total: names.length, names: names.slice(0, mostNames) };
    listedAt = performance.now();
    listing = undefined;
  };
  return async () => {
    if (site.repositories && performance.now() - listedAt > listAge) {
      listing ??= list();
      await listing;
    }
    return {
      kind,
      about,
      time: Date.now(),
      traffic: statistics.traffic(),
      repositories: listed,
      facts: site.facts?.(),
    };
  };
}
