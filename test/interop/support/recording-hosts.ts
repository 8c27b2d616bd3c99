import type { Registry } from 'ocifetch';
import { type Handler, listen, serve } from 'ocifetch/server';
import { certificate } from '../../server/certificate.ts';
import type { Cleanup } from './cleanup.ts';
import { freePort } from './process.ts';

/** How a host treats requests for content: it sends it, responds with this status, or does not listen. */
export type Behaviour = 'has all' | 403 | 404 | 500 | 'refuses connections';

export interface RecordedRequest {
  /** The host's key. */
  readonly host: string;
  readonly method: string;
  /** The whole target, with the values of the query decoded. */
  readonly url: string;
  /** Path of the repository: `/prefix/v2/team/app`. */
  readonly base: string;
  /** Requested content: `manifests/v1`, `blobs/sha256:…`. */
  readonly piece: string;
  /** Value of `ns`. */
  readonly namespace?: string;
  /** If the host requires tokens: the scope and user of the token; `none` if the request had no token yet. */
  readonly token?: Token | 'none';
  /** Names of its headers that begin with `x-`. */
  readonly headers: readonly string[];
}

export interface Token {
  readonly scope: string;
  /** The user name, or the refresh token itself. */
  readonly login?: string | undefined;
}

export interface HostsOptions<Key extends string> {
  /** The hosts that use TLS, with a certificate that nobody trusts by default. */
  readonly tls?: readonly Key[] | undefined;
  /** Whether every host requires its own token; requests without one are then recorded, too. */
  readonly tokens?: boolean | undefined;
}

export interface RecordingHosts<Key extends string> {
  /** `127.0.0.1:port` by key. */
  readonly at: Readonly<Record<Key, string>>;
  /** Requests since the last call, in order; without those for tokens and `/v2/`, which some tools send first. */
  requests(): RecordedRequest[];
}

/** Hosts on loopback, in front of one registry. Every path and name at them is the same repository. */
export async function startHosts<Key extends string>(
  cleanup: Cleanup,
  behaviours: Readonly<Record<Key, Behaviour>>,
  registry: Registry,
  { tls = [], tokens = false }: HostsOptions<Key> = {},
): Promise<RecordingHosts<Key>> {
  const content = serve(registry);
  const log: RecordedRequest[] = [];
  const at: Partial<Record<Key, string>> = {};
  for (const [host, behaviour] of Object.entries(behaviours) as [Key, Behaviour][]) {
    if (behaviour === 'refuses connections') {
      at[host] = `127.0.0.1:${await freePort()}`;
      continue;
    }
    const handler: Handler = async (request) => {
      const { pathname } = new URL(request.url);
      if (tokens && pathname === '/token') return Response.json({ token: JSON.stringify(await tokenFor(request)) });
      const recorded = parse(host, request, tokens);
      if (!recorded) return content(new Request(new URL('/v2/', request.url), { method: request.method }));
      log.push(recorded);
      if (recorded.token === 'none') return challenge(request);
      if (behaviour !== 'has all') return new Response(null, { status: behaviour });
      const { method, headers, signal } = request;
      return content(new Request(new URL(`/v2/any/name/${recorded.piece}`, request.url), { method, headers, signal }));
    };
    const server = await listen(handler, tls.includes(host) ? { tls: certificate } : {});
    cleanup.add(server.close);
    at[host] = `127.0.0.1:${server.port}`;
  }
  return { at: at as Record<Key, string>, requests: () => log.splice(0) };
}

/** The challenge has no scope, so that the client uses that of the plan. */
function challenge({ url }: Request): Response {
  const { origin, host } = new URL(url);
  const wanted = `Bearer realm="${origin}/token",service="${host}"`;
  return new Response(null, { status: 401, headers: { 'www-authenticate': wanted } });
}

async function tokenFor(request: Request): Promise<Token> {
  const form = new URLSearchParams(await request.text());
  const fields = request.method === 'POST' ? form : new URL(request.url).searchParams;
  const [, basic] = /^Basic (.*)$/.exec(request.headers.get('authorization') ?? '') ?? [];
  const user = basic && Buffer.from(basic, 'base64').toString().split(':')[0];
  return { scope: fields.getAll('scope').join(' '), login: fields.get('refresh_token') ?? user };
}

function parse(host: string, request: Request, tokens: boolean): RecordedRequest | undefined {
  const { method, url } = request;
  const { origin, pathname, searchParams } = new URL(url);
  const [, base, piece] = /^(.+)\/((?:manifests|blobs)\/[^/]+)$/.exec(decodeURIComponent(pathname)) ?? [];
  if (base === undefined || piece === undefined) return undefined;
  const query = [...searchParams].map(([name, value]) => `${name}=${value}`).join('&');
  const namespace = searchParams.get('ns');
  const [, token] = /^Bearer (.*)$/.exec(request.headers.get('authorization') ?? '') ?? [];
  return {
    host,
    method,
    url: `${origin}${base}/${piece}${query === '' ? '' : `?${query}`}`,
    base,
    piece,
    ...(namespace !== null && { namespace }),
    ...(tokens && { token: token === undefined ? 'none' : JSON.parse(token) }),
    headers: [...request.headers.keys()].filter((name) => name.startsWith('x-')).sort(),
  };
}

/** Hosts by requested content, each once, in the order of their first requests, whatever the number and method of requests. */
export function hostsByPiece(
  requests: readonly RecordedRequest[],
  show: (request: RecordedRequest) => string = ({ host, base, namespace }) => `${host} ${base} ns=${namespace ?? ''}`,
): Record<string, string[]> {
  const hosts = new Map<string, Set<string>>();
  for (const one of requests) {
    const known = hosts.get(one.piece) ?? new Set();
    hosts.set(one.piece, known.add(show(one)));
  }
  return Object.fromEntries([...hosts].sort().map(([piece, shown]) => [piece, [...shown]]));
}
