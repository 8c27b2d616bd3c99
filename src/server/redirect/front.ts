import { direct } from '../direct.ts';
import type { Connection, Handler } from '../registry/exchange.ts';
import { createBuckets } from './buckets.ts';
import { clientBy } from './client-address.ts';
import { checkFrontOptions, type FrontEvent, type FrontOptions } from './front-options.ts';

/** What a request is given: a redirect, or a text. */
type Decision = Omit<FrontEvent, 'request' | 'status'> &
  ({ readonly location: string } | { readonly status: number; readonly text?: string; readonly location?: undefined });

/** A request by its decoded path. */
interface Asked {
  readonly request: Request;
  readonly connection: Connection | undefined;
  /** The path without percent-encoding, split at its slashes; the first is empty. */
  readonly segments: readonly string[];
  readonly search: string;
}

/**
 * A registry without content: it redirects to one that has it, and blobs to the bucket that is nearest to the client, if they are
 * there. It needs no token and gives none, so the name of the registry that clients use can be moved from one host to another.
 * In this it does what `registry.k8s.io` does (https://github.com/kubernetes/registry.k8s.io), except that no path leads above
 * the prefix at the upstream.
 *
 * It keeps nothing but the URLs of blobs that were found. `INVALID_CONFIG` for wrong options.
 */
export function redirectFront(options: FrontOptions): Handler {
  checkFrontOptions(options);
  const decide = decisionsBy(options);
  return direct(async (request, connection) => {
    const decision = await decide(request, connection);
    const response = decision.location === undefined ? plain(request, decision) : redirect(request, decision.location);
    report(options, { request, ...decision, status: response.status });
    return response;
  });
}

function report(
  { onEvent }: FrontOptions,
  { request, status, to, location, digest, client, region }: FrontEvent,
): void {
  if (!onEvent) return;
  // A listener that fails is not the request's problem.
  Promise.resolve({ request, status, to, location, digest, client, region })
    .then(onEvent)
    .catch(() => {});
}

function decisionsBy({ info, privacy, ...options }: FrontOptions) {
  const fromRegistry = decideRegistry(options);
  return async (request: Request, connection: Connection | undefined): Promise<Decision> => {
    const { method } = request;
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, text: 'Only GET and HEAD are allowed.' };
    const { pathname, search } = new URL(request.url);
    const segments = decoded(pathname);
    if (!segments) return { status: 400, text: 'the path is not percent-encoded UTF-8' };
    const [, first = '', ...rest] = segments;
    if (first.startsWith('v2')) return fromRegistry({ request, connection, segments, search });
    if (first === '' && rest.length === 0 && info !== undefined) return { to: 'info', location: info };
    if (first.startsWith('privacy') && privacy !== undefined) return { to: 'privacy', location: privacy };
    return { status: 404, text: '404 page not found' };
  };
}

/** What is requested of the API. */
function decideRegistry(options: FrontOptions) {
  const { upstream, prefix = '', signatures, client = 'second-from-end', keepQuery = false } = options;
  const buckets = createBuckets(options);
  const clientOf = clientBy(client);
  const at = (registry: string, { segments, search }: Asked): string =>
    `${registry.replace(/\/$/, '')}/v2${joined(prefix, segments)}${keepQuery ? search : ''}`;
  const blob = async (asked: Asked, digest: string): Promise<Decision> => {
    const found = clientOf(asked.request, asked.connection);
    if ('problem' in found) return { status: 400, text: found.problem, digest };
    const region = buckets.regionOf(found.address);
    const known = { digest, client: found.address, region };
    const location = await buckets.find(digest, region);
    if (location !== undefined) return { ...known, to: 'bucket', location };
    return { ...known, to: 'upstream', location: at(upstream, asked) };
  };
  return async (asked: Asked): Promise<Decision> => {
    const path = asked.segments.join('/');
    if (path === '/v2' || path === '/v2/') return { status: 200 };
    if (path === '/v2/_catalog') return { status: 404, text: '_catalog is not supported' };
    const [, version, ...rest] = asked.segments;
    const [kind, last = ''] = version === 'v2' && rest.length > 2 ? rest.slice(-2) : [];
    if (kind === 'blobs' && isDigestLike(last)) return blob(asked, last);
    const isSignature = kind === 'manifests' && /^sha256-[a-f0-9]{64}\.(?:sig|att)$/.test(last);
    if (isSignature && signatures !== undefined) return { to: 'signatures', location: at(signatures, asked) };
    return { to: 'upstream', location: at(upstream, asked) };
  };
}

/** The grammar of all digests, whatever their algorithm: nothing that could lead elsewhere in a bucket. */
const isDigestLike = (text: string): boolean => /^[A-Za-z0-9]+(?:[+._-][A-Za-z0-9]+)*:[A-Za-z0-9=_-]+$/.test(text);

/** The parts of a path, decoded once; undefined if they are not UTF-8. An encoded slash is a slash, as it may be one upstream. */
function decoded(pathname: string): string[] | undefined {
  try {
    return decodeURIComponent(pathname).split('/');
  } catch {
    return undefined;
  }
}

/**
 * The path at the upstream after `/v2`: the prefix, and what follows `/v2` in the request. Empty parts and `.` are left out, and
 * `..` takes the part before it away, but never one of the prefix. Whatever an upstream could take for a separator is encoded.
 */
function joined(prefix: string, [, first = '', ...rest]: readonly string[]): string {
  const parts: string[] = [];
  for (const part of [first.slice('v2'.length), ...rest].flatMap((segment) => segment.split('\\'))) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  const path = [...prefix.split('/').filter((part) => part !== ''), ...parts.map(encoded)].join('/');
  return path === '' ? '' : `/${path}`;
}

const encoded = (part: string): string =>
  encodeURIComponent(part).replace(/%(?:3A|40|2B|3D)/g, (written) => decodeURIComponent(written));

const textType = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' };

function plain({ method }: Request, { status, text }: { readonly status: number; readonly text?: string }): Response {
  if (text === undefined) {
    return new Response(null, { status, headers: { 'docker-distribution-api-version': 'registry/2.0' } });
  }
  return new Response(method === 'HEAD' ? null : `${text}\n`, { status, headers: textType });
}

/** With a small page for GET, as clients of HTTP should have one. RFC 9110 section 15.4.8 */
function redirect({ method }: Request, location: string): Response {
  const headers = { location, 'content-type': 'text/html; charset=utf-8' };
  const link = location.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
  const page = `<a href="${link}">Temporary Redirect</a>.\n\n`;
  return new Response(method === 'HEAD' ? null : page, { status: 307, headers });
}
