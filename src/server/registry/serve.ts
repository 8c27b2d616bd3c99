import { defaultManifestBytes } from '../../oci/manifest.ts';
import { hostProblem } from '../../oci/registry.ts';
import { parsePath, type Route } from '../../oci/route.ts';
import type { Registry } from '../../source.ts';
import { readBlob, readManifest } from './content.ts';
import type { Handler, RouteHandler } from './exchange.ts';
import { listReferrers, listTags } from './lists.ts';
import { writeManifest } from './manifests.ts';
import { type ProblemCode, problem, problemOf } from './problem.ts';
import { addChunk, beginUpload, endUpload, finishUpload, readUpload, uploadSessions } from './uploads.ts';

/** Limits of a server, and its name. */
export interface ServeOptions {
  /** `Repository.registry`. Default `localhost`; never the Host of a request, because its sender chooses that. */
  readonly registry?: string;
  /**
   * Registries that a request may name in its `ns` parameter, as clients of a mirror do. By default `ns` is ignored: it could
   * direct a registry that sends requests of its own to any host.
   */
  readonly namespaces?: readonly string[] | ((registry: string) => boolean);
  /**
   * Also sends content that a layout has through a link, symbolic or hard, wherever it leads. Default: that content does
   * not exist.
   */
  readonly links?: boolean;
  /** Most bytes of a pushed manifest. Default 4 MiB. */
  readonly manifestBytes?: number;
  /** Most bytes of one upload in memory; a single request with a `Content-Length` is not held. Default 256 MiB. */
  readonly uploadBytes?: number;
  /** Most uploads that are open at a time. Default 64. */
  readonly uploads?: number;
  /** Milliseconds without a request after which an upload is dropped. Default 300,000. */
  readonly uploadIdle?: number;
  /** Called with errors that become status 500: the client sees no details of them. */
  readonly onError?: (error: unknown, request: Request) => void;
}

type Methods = { readonly [Kind in Route['kind']]: Readonly<Record<string, RouteHandler<Kind>>> };

/** The code for content that does not exist, by route. */
const unknown: Readonly<Record<Route['kind'], ProblemCode>> = {
  base: 'NAME_UNKNOWN',
  manifest: 'MANIFEST_UNKNOWN',
  blob: 'BLOB_UNKNOWN',
  tags: 'NAME_UNKNOWN',
  referrers: 'NAME_UNKNOWN',
  uploads: 'NAME_UNKNOWN',
  upload: 'BLOB_UPLOAD_UNKNOWN',
};

/**
 * A registry, seen from outside: the distribution API over the content of `registry`, as a function from a web-standard
 * request to its response. Only open uploads are kept between requests. A repository whose source is not a store is
 * read-only: writes are 405. Errors of a source become responses in the form of the specification. Bodies stream; one that
 * fails is aborted, never ended.
 *
 * The caller reads the body of a response to its end or cancels it.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
 */
export function serve(registry: Registry, options: ServeOptions = {}): Handler {
  const {
    manifestBytes = defaultManifestBytes,
    uploadBytes = 268_435_456,
    uploads = 64,
    uploadIdle = 300_000,
  } = options;
  const limits = { uploadBytes, sessions: uploadSessions({ limit: uploads, idle: uploadIdle }) };
  const methods: Methods = {
    base: { GET: base, HEAD: base },
    manifest: { GET: readManifest, HEAD: readManifest, PUT: writeManifest(manifestBytes) },
    blob: { GET: readBlob, HEAD: readBlob },
    tags: { GET: listTags, HEAD: listTags },
    referrers: { GET: listReferrers, HEAD: listReferrers },
    uploads: { POST: beginUpload(limits) },
    upload: {
      GET: readUpload(limits),
      PATCH: addChunk(limits),
      PUT: finishUpload(limits),
      DELETE: endUpload(limits),
    },
  };
  return async (request) => {
    const response = await respond(registry, methods, options, request);
    response.headers.set('docker-distribution-api-version', 'registry/2.0');
    if (request.method !== 'HEAD' || !response.body) return response;
    await response.body.cancel();
    return new Response(null, response);
  };
}

const base = async (): Promise<Response> =>
  new Response('{}', { headers: { 'content-type': 'application/json', 'content-length': '2' } });

async function respond(
  registry: Registry,
  methods: Methods,
  options: ServeOptions,
  request: Request,
): Promise<Response> {
  const { pathname, searchParams: query } = new URL(request.url);
  const route = /^\/v2(?:\/|$)/.test(pathname) ? parsePath(pathname.slice('/v2'.length)) : undefined;
  if (!route) return unrouted(pathname);
  const allowed = methods[route.kind] as Readonly<Record<string, RouteHandler<Route['kind']>>>;
  const handle = Object.hasOwn(allowed, request.method) ? allowed[request.method] : undefined;
  if (!handle) {
    const found = `Cannot ${request.method} "${pathname}": not offered here`;
    return problem(405, 'UNSUPPORTED', found, { allow: Object.keys(allowed).join(', ') });
  }
  let unknownCode: ProblemCode = 'NAME_UNKNOWN';
  try {
    if (route.kind === 'base') return await base();
    const host = namespaceOf(query.get('ns'), options) ?? options.registry ?? 'localhost';
    const sibling = (name: string) => registry({ registry: host, name });
    const source = sibling(route.name);
    unknownCode = unknown[route.kind];
    const repository = { registry: host, name: route.name };
    const { links = false } = options;
    return await handle({ request, query, repository, source, sibling, links }, route);
  } catch (error) {
    const response = problemOf(error, { unknown: unknownCode, writes: !/^(?:GET|HEAD)$/.test(request.method) });
    if (response.status === 500) options.onError?.(error, request);
    return response;
  }
}

function namespaceOf(name: string | null, { namespaces = [] }: ServeOptions): string | undefined {
  if (name === null || hostProblem(name) !== undefined) return undefined;
  const isAllowed = typeof namespaces === 'function' ? namespaces(name) : namespaces.includes(name);
  return isAllowed ? name : undefined;
}

function unrouted(pathname: string): Response {
  return /^\/v2\/.*(?:manifests|blobs|tags|referrers)\//.test(pathname)
    ? problem(400, 'NAME_INVALID', `"${pathname}" has no valid repository name`)
    : problem(404, 'NAME_UNKNOWN', `"${pathname}" is not a path of this API`);
}
