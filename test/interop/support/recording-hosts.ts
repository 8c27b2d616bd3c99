import type { Registry } from 'ocifetch';
import { type Handler, listen, serve } from 'ocifetch/server';
import type { Cleanup } from './cleanup.ts';
import { freePort } from './process.ts';

/** What a host does when it is asked for content: gives it, answers with this status, or has nobody who listens. */
export type Behaviour = 'has all' | 403 | 404 | 500 | 'refuses connections';

export interface Asked {
  /** The host's key. */
  readonly host: string;
  readonly method: string;
  /** All of it, the query's values decoded. */
  readonly url: string;
  /** Where the repository is: `/prefix/v2/team/app`. */
  readonly base: string;
  /** What was asked for: `manifests/v1`, `blobs/sha256:…`. */
  readonly piece: string;
  /** Value of `ns`. */
  readonly namespace?: string;
}

export interface RecordingHosts<Key extends string> {
  /** `127.0.0.1:port` by key. */
  readonly at: Readonly<Record<Key, string>>;
  /** What was asked since the last call, in order; not `/v2/` itself, at which some tools knock first. */
  asked(): Asked[];
}

/** Hosts on loopback, in front of one registry. Whatever they are asked below, and by whatever name, is one repository. */
export async function startHosts<Key extends string>(
  cleanup: Cleanup,
  behaviours: Readonly<Record<Key, Behaviour>>,
  registry: Registry,
): Promise<RecordingHosts<Key>> {
  const content = serve(registry);
  const log: Asked[] = [];
  const at: Partial<Record<Key, string>> = {};
  for (const [host, behaviour] of Object.entries(behaviours) as [Key, Behaviour][]) {
    if (behaviour === 'refuses connections') {
      at[host] = `127.0.0.1:${await freePort()}`;
      continue;
    }
    const handler: Handler = async (request) => {
      const asked = parse(host, request);
      if (!asked) return content(new Request(new URL('/v2/', request.url), { method: request.method }));
      log.push(asked);
      if (behaviour !== 'has all') return new Response(null, { status: behaviour });
      const { method, headers, signal } = request;
      return content(new Request(new URL(`/v2/any/name/${asked.piece}`, request.url), { method, headers, signal }));
    };
    const server = await listen(handler);
    cleanup.add(server.close);
    at[host] = `127.0.0.1:${server.port}`;
  }
  return { at: at as Record<Key, string>, asked: () => log.splice(0) };
}

function parse(host: string, { method, url }: Request): Asked | undefined {
  const { origin, pathname, searchParams } = new URL(url);
  const [, base, piece] = /^(.+)\/((?:manifests|blobs)\/[^/]+)$/.exec(decodeURIComponent(pathname)) ?? [];
  if (base === undefined || piece === undefined) return undefined;
  const query = [...searchParams].map(([name, value]) => `${name}=${value}`).join('&');
  const namespace = searchParams.get('ns');
  return {
    host,
    method,
    url: `${origin}${base}/${piece}${query === '' ? '' : `?${query}`}`,
    base,
    piece,
    ...(namespace !== null && { namespace }),
  };
}

/** Hosts by what was asked for, each once and in the order in which they were asked: how often, and by which method, is left out. */
export function hostsByPiece(
  asked: readonly Asked[],
  show: (asked: Asked) => string = ({ host, base, namespace }) => `${host} ${base} ns=${namespace ?? ''}`,
): Record<string, string[]> {
  const hosts = new Map<string, Set<string>>();
  for (const one of asked) {
    const known = hosts.get(one.piece) ?? new Set();
    hosts.set(one.piece, known.add(show(one)));
  }
  return Object.fromEntries([...hosts].sort().map(([piece, shown]) => [piece, [...shown]]));
}
