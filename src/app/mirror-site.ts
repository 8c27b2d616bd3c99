import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { type Client, memoryStore } from '../index.ts';
import { type Handler, type MirrorEvent, type MirrorStatus, pullThrough, serve, wrapHandler } from '../server/index.ts';
import { upstreamName } from './mirror-lines.ts';
import { bytesText, counted, errorText, numberText, printable } from './printable.ts';
import type { Site, SiteFacts, UpstreamTraffic } from './site.ts';

/** What a mirror gets content from, and keeps it in. */
export interface MirrorSettings {
  /** Registries; the first one is that of requests that name none. */
  readonly mirrors: readonly string[];
  /** Default: memory. */
  readonly directory?: string | undefined;
  /** Most bytes that are kept. */
  readonly bytes?: number | undefined;
  /** Milliseconds for which a tag is not requested again. */
  readonly fresh?: number | undefined;
  /** Sends its requests with `userAgent`. */
  readonly client: Client;
  /** Of the client: a request that comes with it is one of this mirror itself. */
  readonly userAgent: string;
  readonly onWarning?: ((text: string) => void) | undefined;
}

/** A user agent that no other mirror has. */
export const mirrorAgent = (): string => `ocifetch-mirror/${randomUUID()}`;

/** A pull-through mirror of registries: `pullThrough` with what it has done. */
export function mirrorSite(settings: MirrorSettings): Site {
  const { mirrors, directory, bytes, fresh, client, userAgent, onWarning } = settings;
  const [upstream = 'docker.io', ...others] = mirrors;
  const upstreams = Object.fromEntries(others.map((registry) => [upstreamName(registry), registry]));
  const responded = new Map<string, number>();
  const onEvent = (event: MirrorEvent): void => {
    if (event.type === 'store-failure') onWarning?.(`cannot keep content: ${errorText(event.error)}`);
    if (hasResponded(event)) responded.set(event.repository.registry, Date.now());
  };
  const store = directory === undefined ? memoryStore() : resolve(directory);
  const mirror = pullThrough({ store, upstream, upstreams, client, bytes, fresh, onEvent });
  const place = directory === undefined ? 'kept in memory' : `kept in ${resolve(directory)}`;
  return {
    kind: 'mirror',
    about: printable(`of ${mirrors.join(', ')} · ${place}`, 300),
    handler: (options) => withoutLoop(serve(mirror, options), userAgent, options),
    labelOf: ({ registry, name }) => {
      const [first, key = '', ...rest] = name.split('/');
      if (registry !== 'localhost') return `${registry}/${name}`;
      return first === 'upstream' ? `${upstreams[key] ?? key}/${rest.join('/')}` : `${upstream}/${name}`;
    },
    facts: () => factsOf(mirror.status(), mirrors, responded),
    close: () => mirror.close(),
  };
}

type AboutUpstream = Extract<MirrorEvent, { readonly type: 'tag' | 'download' }>;

/** Whether an event shows that a registry works. */
const hasResponded = (event: MirrorEvent): event is AboutUpstream =>
  (event.type === 'download' && event.error === undefined) ||
  (event.type === 'tag' && (event.outcome === 'unchanged' || event.outcome === 'upstream'));

/**
 * Responds to a request of this mirror itself, which a configuration has led back here, that nothing is here: then the next host
 * is requested.
 */
const withoutLoop = (next: Handler, userAgent: string, { onEvent }: Parameters<Site['handler']>[0]): Handler =>
  wrapHandler(next, async (request, connection) => {
    if (request.headers.get('user-agent') !== userAgent) return next(request, connection);
    const message = 'this mirror is configured as a mirror of itself';
    const response = Response.json({ errors: [{ code: 'NAME_UNKNOWN', message }] }, { status: 404 });
    onEvent?.({ request, action: 'none', status: 404, bytes: 0, duration: 0, error: new Error(message) });
    return response;
  });

function factsOf(
  { upstreams, downloads, kept, evictions }: MirrorStatus,
  mirrors: readonly string[],
  responded: ReadonlyMap<string, number>,
): SiteFacts {
  const sum = (count: (of: MirrorStatus['upstreams'][number]) => number): number =>
    upstreams.reduce((total, one) => total + count(one), 0);
  const [hits, misses] = [sum((one) => one.hits), sum((one) => one.misses)];
  const [saved, fetched] = [sum((one) => one.bytesFromCache), sum((one) => one.bytesFromUpstream)];
  const all = hits + misses;
  const rate = all === 0 ? undefined : hits / all;
  const room = kept.bound === undefined ? '' : ` of ${bytesText(kept.bound)}`;
  const byName = new Map(upstreams.map((one) => [one.registry, one]));
  return {
    cards: [
      {
        label: 'Hit rate',
        value: rate === undefined ? '–' : `${Math.floor(rate * 100)} %`,
        note: rate === undefined ? 'nothing sent yet' : `${numberText(hits)} of ${counted(all, 'content')}`,
      },
      { label: 'Saved', value: bytesText(saved), note: `${bytesText(fetched)} from upstream` },
      { label: 'Kept', value: bytesText(kept.bytes), note: `${counted(kept.contents, 'content')}${room}` },
    ],
    upstreams: mirrors.map((registry) => trafficOf(registry, byName.get(registry), responded.get(registry))),
    downloads: downloads.map(({ reference, ...rest }) => ({ name: reference, ...rest })),
    json: { hits, misses, hitRate: rate ?? null, saved, fetched, kept, evictions, upstreams, downloads },
  };
}

function trafficOf(
  name: string,
  status: MirrorStatus['upstreams'][number] | undefined,
  last: number | undefined,
): UpstreamTraffic {
  if (!status) return { name, figures: [] };
  const { hits, misses, bytesFromUpstream, errors, stale, lastError } = status;
  const isFailing = lastError !== undefined && lastError.at >= (last ?? 0);
  return {
    name,
    figures: [
      counted(hits, 'hit'),
      counted(misses, 'miss', 'misses'),
      bytesText(bytesFromUpstream),
      ...(stale > 0 ? [`${numberText(stale)} stale`] : []),
      ...(errors > 0 ? [counted(errors, 'error')] : []),
    ],
    last,
    problem: isFailing ? errorText(lastError) : undefined,
  };
}
