import { isDigest } from '../../oci/digest.ts';
import { defaultManifestBytes } from '../../oci/manifest.ts';
import { isRepositoryName } from '../../oci/reference.ts';
import { hostProblem } from '../../oci/registry.ts';
import { parsePath, type Route } from '../../oci/route.ts';
import { canLocate, isNamespaced, type Registry, type Source } from '../../source.ts';
import { createMemoryUploads } from '../../store/memory/uploads.ts';
import { checkPlain } from '../../text/problems.ts';
import { actorOf } from '../access/actor.ts';
import { direct } from '../direct.ts';
import { type ContentRules, invalidDigest, readBlob, readManifest } from './content.ts';
import { deletesOf } from './deletes.ts';
import {
  type Connection,
  createRecord,
  type Exchange,
  type ExchangeRecord,
  type Handler,
  type RouteHandler,
} from './exchange.ts';
import { type ListRules, listReferrers, listRepositories, listTags } from './lists.ts';
import { writeManifest } from './manifests.ts';
import { type ProblemCode, problem, problemOf, rewritten } from './problem.ts';
import { promptReads } from './prompt.ts';
import type { Asking, ServeOptions } from './serve-options.ts';
import { addChunk, beginUpload, endUpload, finishUpload, readUpload, type UploadRules } from './uploads.ts';

/** Routes of a repository, and those of none. */
type NamedKind = Extract<Route, { readonly name: string }>['kind'];
type Methods = { readonly [Kind in NamedKind]: Readonly<Record<string, RouteHandler<Kind>>> };

/** The code for content that does not exist, by route. */
const unknown: Readonly<Record<NamedKind, ProblemCode>> = {
  manifest: 'MANIFEST_UNKNOWN',
  blob: 'BLOB_UNKNOWN',
  tags: 'NAME_UNKNOWN',
  referrers: 'NAME_UNKNOWN',
  uploads: 'NAME_UNKNOWN',
  upload: 'BLOB_UPLOAD_UNKNOWN',
};

/**
 * A registry, seen from outside: the distribution API over the content of `registry`, as a function from a web-standard
 * request to its response. Only uploads into stores that take none themselves are kept between requests. A repository offers
 * what its source can do: without a store writes are 405, without a `Deleter` deletes. Errors of a source become responses in
 * the form of the specification. Bodies stream; one that fails, or of a source that does not verify turns out wrong, is
 * aborted, never ended.
 *
 * The caller reads the body of a response to its end or cancels it.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
 */
export function serve(registry: Registry, options: ServeOptions = {}): Handler {
  checkPlain('serve', options);
  const methods = methodsOf(options);
  const respondOnce: Handler = async (request, connection) => {
    const started = performance.now();
    const record = createRecord();
    const { found, error } = await respond(registry, methods, { ...options, record }, { request, connection });
    const response = await rewritten(found, request, options);
    response.headers.set('docker-distribution-api-version', 'registry/2.0');
    for (const warning of record.warnings) response.headers.append('warning', warning);
    const isHead = request.method === 'HEAD' && response.body !== null;
    if (isHead) await response.body?.cancel();
    const sent = isHead ? new Response(null, response) : response;
    report(sent, { request, connection, record, started, error, ...options });
    return sent;
  };
  return direct(respondOnce, promptReads(registry, options));
}

function methodsOf(options: ServeOptions): Methods & { readonly lists: ListRules } {
  const { manifestBytes = defaultManifestBytes, mountsFromAny = false, singlePost = true } = options;
  const { mostListed = Number.POSITIVE_INFINITY, pages = true, nextLinks = true } = options;
  const { referrers = true, referrersFilter = true, tagDigests = true } = options;
  const { uploadBytes, uploads, uploadIdle } = options;
  const lists = { mostListed, pages, nextLinks, referrers, referrersFilter };
  const content: ContentRules = { tagDigests };
  const removals = deletesOf(options);
  const inMemory = createMemoryUploads();
  const rules: UploadRules = { inMemory, mountsFromAny, singlePost, uploadBytes, uploads, uploadIdle };
  const [readAny, readOne] = [readManifest(content), readBlob];
  const [tags, refer] = [listTags(lists), listReferrers(lists)];
  return {
    lists,
    manifest: { GET: readAny, HEAD: readAny, PUT: writeManifest(manifestBytes), DELETE: removals.manifest },
    blob: { GET: readOne, HEAD: readOne, DELETE: removals.blob },
    tags: { GET: tags, HEAD: tags },
    referrers: { GET: refer, HEAD: refer },
    uploads: { POST: beginUpload(rules) },
    upload: { GET: readUpload(rules), PATCH: addChunk(rules), PUT: finishUpload(rules), DELETE: endUpload(rules) },
  };
}

/** The response to a request, and the error that it says, if any. */
async function respond(
  registry: Registry,
  methods: ReturnType<typeof methodsOf>,
  { record, ...options }: ServeOptions & { readonly record: ExchangeRecord },
  from: Asking,
): Promise<{ readonly found: Response; readonly error?: unknown }> {
  const { request } = from;
  const { pathname, searchParams: query } = new URL(request.url);
  const { method } = request;
  const route = /^\/v2(?:\/|$)/.test(pathname) ? parsePath(pathname.slice('/v2'.length)) : undefined;
  if (!route) return { found: unrouted(pathname) };
  let code: ProblemCode = 'NAME_UNKNOWN';
  try {
    if (route.kind === 'base') return { found: base() };
    if (route.kind === 'catalog') {
      if (method !== 'GET' && method !== 'HEAD') return { found: notAllowed(request, ['GET', 'HEAD']) };
      return { found: await listRepositories({ request, query, registry, record }, methods.lists) };
    }
    const allowed = methods[route.kind] as Readonly<Record<string, RouteHandler<NamedKind>>>;
    const handle = Object.hasOwn(allowed, method) ? allowed[method] : undefined;
    if (!handle) return { found: notAllowed(request, Object.keys(allowed)) };
    const host = namespaceOf(query.get('ns'), registry, options) ?? options.registry ?? 'localhost';
    const repository = { registry: host, name: route.name };
    record.repository = repository;
    const sibling = (name: string) => registry({ registry: host, name });
    const source = sibling(route.name);
    code = unknown[route.kind];
    const locate = locateBy(options, source, from);
    const { links = false, uploadUrl = () => undefined } = options;
    const shared = { request, query, repository, source, registry, record };
    const isElsewhere = options.locate !== undefined || canLocate(source);
    const exchange = { ...shared, sibling, locate, isElsewhere, uploadUrl, links };
    return { found: await handle(exchange, route) };
  } catch (error) {
    const found = problemOf(error, { unknown: code, writes: !/^(?:GET|HEAD)$/.test(method) });
    if (found.status === 500) options.onError?.(error, request);
    return { found, error };
  }
}

/** That the API is here, whatever the method, as other servers say it. */
const base = (): Response =>
  new Response('{}', { headers: { 'content-type': 'application/json', 'content-length': '2' } });

const notAllowed = (request: Request, methods: readonly string[]): Response => {
  const message = `Cannot ${request.method} "${new URL(request.url).pathname}": not offered here`;
  return problem(405, 'UNSUPPORTED', message, { allow: methods.join(', ') });
};

/** Where content of a repository is, besides here. */
function locateBy({ locate }: ServeOptions, source: Source, from: Asking): Exchange['locate'] {
  return async (target, repository, signal) => {
    if (locate) return (await locate(target, repository, from))[0];
    return canLocate(source) ? source.locate(target, { signal }) : undefined;
  };
}

interface Responded extends Pick<ServeOptions, 'onEvent'> {
  readonly request: Request;
  readonly connection: Connection | undefined;
  readonly record: ExchangeRecord;
  /** `performance.now()` when the request came. */
  readonly started: number;
  readonly error: unknown;
}

/** Reports a response, once its body has been sent. */
function report(response: Response, { request, connection, record, started, error, onEvent }: Responded): void {
  if (!onEvent) return;
  const { status, headers, body } = response;
  const emit = (broken?: unknown): void => {
    record.onEnd = undefined;
    const { action, repository, descriptor, tag, from, untagged } = record;
    const bytes = record.isStreaming ? record.bytes : body ? Number(headers.get('content-length') ?? 0) : 0;
    const actor = actorOf(request);
    const duration = performance.now() - started;
    const found = {
      request,
      connection,
      action,
      repository,
      descriptor,
      tag,
      from,
      untagged,
      actor,
      status,
      bytes,
      duration,
    };
    // A listener that fails is not the request's problem.
    Promise.resolve({ ...found, error: broken ?? error })
      .then(onEvent)
      .catch(() => {});
  };
  if (record.isStreaming) record.onEnd = emit;
  else emit();
}

function namespaceOf(name: string | null, registry: Registry, { namespaces }: ServeOptions): string | undefined {
  if (name === null || name === '') return undefined;
  if (namespaces === undefined && isNamespaced(registry)) return name;
  if (hostProblem(name) !== undefined) return undefined;
  const isAllowed = typeof namespaces === 'function' ? namespaces(name) : (namespaces ?? []).includes(name);
  return isAllowed ? name : undefined;
}

/** Why a path is none of the API. A wrong digest is reported before a wrong name. */
function unrouted(pathname: string): Response {
  const [, name = '', kind = '', rest = ''] =
    /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/(.*)/.exec(pathname) ?? [];
  if (name === '' || isRepositoryName(name) || (kind === 'tags' && rest !== 'list'))
    return problem(404, 'NAME_UNKNOWN', `"${pathname}" is not a path of this API`);
  const isWrong = /^(?:blobs|referrers)$/.test(kind) && rest.includes(':') && !isDigest(rest);
  return isWrong ? invalidDigest(rest) : problem(400, 'NAME_INVALID', `"${pathname}" has no valid repository name`);
}
