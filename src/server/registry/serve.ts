import { defaultManifestBytes } from '../../oci/manifest.ts';
import { hostFault } from '../../oci/registry.ts';
import { parsePath, type Route } from '../../oci/route.ts';
import type { Registry } from '../../source.ts';
import { readBlob, readManifest } from './content.ts';
import type { Handler, RouteHandler } from './exchange.ts';
import { listReferrers, listTags } from './lists.ts';
import { writeManifest } from './manifests.ts';
import { type ProblemCode, problem, problemOf } from './problem.ts';

import { addChunk, beginUpload, endUpload, finishUpload, readUpload, uploadSessions } from './uploads.ts';

/** Bounds of a server, and what it calls itself. */
export interface ServeOptions {
  /** What `Repository.registry` is: `localhost`, when left out. Never the Host of a request, which its sender chooses. */
  readonly registry?: string;
  /**
   * Registries that a request may name by its `ns` parameter, as clients of a mirror do. A registry that makes requests of
   * its own for what it is asked would otherwise be sent anywhere; so without this, `ns` is not looked at.
   */
  readonly namespaces?: readonly string[] | ((registry: string) => boolean);
  /** The most bytes of a manifest that is pushed. */
  readonly manifestBytes?: number;
  /** The most bytes that one upload may hold in memory; what comes in one request of told length is not held. */
  readonly uploadBytes?: number;
  /** The most uploads that are open at a time. */
  readonly uploads?: number;
  /** Milliseconds without a request after which an upload is forgotten. */
  readonly uploadIdle?: number;
  /** Is told what was thrown that is no RegistryError; the client sees a 500 that tells nothing. */
  readonly onError?: (error: unknown, request: Request) => void;
}

type Methods = { readonly [Kind in Route['kind']]: Readonly<Record<string, RouteHandler<Kind>>> };

/** The codes of what a route names and a source does not have. */
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
 * request to its response. It keeps nothing between requests but uploads that are open. A repository whose source is no
 * store can be read only: writes are 405. What a source throws is answered in the specification's form; bodies stream,
 * and one that fails under way is broken off, never ended.
 *
 * Whoever gets a response reads its body to the end or cancels it.
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
    const response = await answer(registry, methods, options, request);
    response.headers.set('docker-distribution-api-version', 'registry/2.0');
    if (request.method !== 'HEAD' || !response.body) return response;
    await response.body.cancel();
    return new Response(null, response);
  };
}

const base = async (): Promise<Response> =>
  new Response('{}', { headers: { 'content-type': 'application/json', 'content-length': '2' } });

async function answer(
  registry: Registry,
  methods: Methods,
  options: ServeOptions,
  request: Request,
): Promise<Response> {
  const { pathname, searchParams: query } = new URL(request.url);
  const route = /^\/v2(?:\/|$)/.test(pathname) ? parsePath(pathname.slice('/v2'.length)) : undefined;
  if (!route) return unrouted(pathname);
  const allowed = methods[route.kind] as Readonly<Record<string, RouteHandler<Route['kind']>>>;
  const answerRoute = Object.hasOwn(allowed, request.method) ? allowed[request.method] : undefined;
  if (!answerRoute) {
    const found = `Cannot ${request.method} "${pathname}": not offered here`;
    return problem(405, 'UNSUPPORTED', found, { allow: Object.keys(allowed).join(', ') });
  }
  let asked: ProblemCode = 'NAME_UNKNOWN';
  try {
    if (route.kind === 'base') return await base();
    const where = namespaceOf(query.get('ns'), options) ?? options.registry ?? 'localhost';
    const sibling = (name: string) => registry({ registry: where, name });
    const source = sibling(route.name);
    asked = unknown[route.kind];
    const repository = { registry: where, name: route.name };
    return await answerRoute({ request, query, repository, source, sibling }, route);
  } catch (error) {
    const response = problemOf(error, { unknown: asked, writes: !/^(?:GET|HEAD)$/.test(request.method) });
    if (response.status === 500) options.onError?.(error, request);
    return response;
  }
}

function namespaceOf(asked: string | null, { namespaces = [] }: ServeOptions): string | undefined {
  if (asked === null || hostFault(asked) !== undefined) return undefined;
  const isKnown = typeof namespaces === 'function' ? namespaces(asked) : namespaces.includes(asked);
  return isKnown ? asked : undefined;
}

function unrouted(pathname: string): Response {
  return /^\/v2\/.*(?:manifests|blobs|tags|referrers)\//.test(pathname)
    ? problem(400, 'NAME_INVALID', `"${pathname}" has no valid repository name`)
    : problem(404, 'NAME_UNKNOWN', `"${pathname}" is not a place of this API`);
}
