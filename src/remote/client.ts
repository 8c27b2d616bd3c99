import { abortError, deadline } from '../abort.ts';
import { expandShortName, loginFrom } from '../config/credentials.ts';
import type { Config } from '../config/model.ts';
import { parseConfig } from '../config/parse-config.ts';
import { createLiars } from '../content/attempts.ts';
import { createPaces } from '../content/pace.ts';
import { createSplitSharing } from '../content/parts.ts';
import { createContests } from '../contest.ts';
import { type Endpoint, printable, type Skipped } from '../endpoint.ts';
import { cannot, RegistryError } from '../errors.ts';
import { createEmit, type Emit } from '../events.ts';
import { defaultImageLimits, type ImageFiles, type ImageFilesChoice, openImage } from '../files/image-files.ts';
import { guard } from '../http/address.ts';
import { authorize } from '../http/authorize.ts';
import { discretion } from '../http/discretion.ts';
import { health } from '../http/health.ts';
import { lateness } from '../http/lateness.ts';
import { limits as concurrencyLimits } from '../http/limits.ts';
import { redirects } from '../http/redirects.ts';
import { retry } from '../http/retry.ts';
import { socketTransport } from '../http/socket/socket-transport.ts';
import { type ConnectedTransport, type Transport, type Wrapper, whenEnded, wrap } from '../http/transport.ts';
import { undiciTransport } from '../http/undici.ts';
import { defaultManifestBytes } from '../oci/manifest.ts';
import { parseReference, parseRepository, type Reference, type Repository } from '../oci/reference.ts';
import { safeRecord } from '../redaction.ts';
import { asyncDispose } from '../runtime.ts';
import { createStanding } from '../standing.ts';
import { createDocumentsAtHand } from './at-hand.ts';
import { checkResolver } from './check-resolver.ts';
import {
  type ClientOptions,
  checkClientOptions,
  patienceOf,
  usableConfig,
  withPatience,
  withSettings,
} from './client-options.ts';
import type { RequestContext } from './exchange.ts';
import { allowedHosts } from './external.ts';
import { createFetcher, type Fetcher, withNamedSource } from './fetcher.ts';
import { log } from './log.ts';
import { namespace } from './namespace.ts';
import { type HostPlanner, planHosts } from './plan.ts';
import { type Pulled, type PullOptions, pull } from './pull.ts';
import { remoteRepository } from './repository.ts';
import { type Resolved, type ResolveOptions, resolveReference } from './resolve-reference.ts';
import { createEncodings, decoderOf, type Encodings } from './response.ts';
import { trust } from './trust.ts';
import { upgrade } from './upgrade.ts';

/** Where a client would look for a reference, as plain data without secrets. */
export interface Plan {
  readonly reference: Reference;
  /** In the order in which they are contacted. */
  readonly endpoints: readonly Endpoint[];
  readonly skipped: readonly Skipped[];
}

/** Holds connections, tokens, health and limits: create one and reuse it. Close it to end its connections. */
export interface Client extends AsyncDisposable {
  /** Where a reference would be looked up. No I/O. `INVALID_REFERENCE`. */
  plan(reference: string): Plan;
  /** What `alpine:3.20` or `host:5000/name@sha256:…` names, or its image for `platform`. Errors as `Fetcher.resolve`. */
  resolve(reference: string, options?: ResolveOptions): Promise<Resolved & { readonly reference: Reference }>;
  /**
   * Copies an image or artifact into a store, or into a directory as an OCI image layout; `platform` is this machine's by
   * default. Errors as those of `copy`.
   */
  pull(reference: string, options: PullOptions): Promise<Pulled>;
  /**
   * The files of an image, all layers together: to list, or to open one by one, without reading more of the layers than
   * necessary. Close them. Errors as those of `resolve`; `NOT_FOUND` if an index has no image for the platform.
   */
  files(reference: string, options?: ImageFilesChoice): Promise<ImageFiles>;
  /** The operations of a repository, `docker.io/library/alpine`. */
  fetcher(repository: string | Repository): Fetcher;
  /** Ends all running operations with `CLOSED`, and all connections. */
  close(): Promise<void>;
}

const mebibyte = 1_048_576;

const timesOf = ({ timeouts, retries }: ClientOptions) => ({
  operation: timeouts?.operation,
  backoff: retries?.backoff,
});

type Settings =
  | 'documents'
  | 'filling'
  | 'manifests'
  | 'manifestBytes'
  | 'discardBytes'
  | 'listBytes'
  | 'pages'
  | 'retries'
  | 'userAgent';

const settingsOf = ({
  limits = {},
  retries = {},
  userAgent = 'ocifetch',
}: ClientOptions): Pick<RequestContext, Settings> => ({
  manifestBytes: limits.manifestBytes ?? defaultManifestBytes,
  discardBytes: limits.discardBytes ?? 16 * mebibyte,
  listBytes: limits.listBytes ?? 16 * mebibyte,
  pages: limits.pages ?? 1_000,
  retries,
  userAgent,
  filling: new Map(),
  manifests: new Map(),
  documents: createDocumentsAtHand(),
});

const sharingOf = ({ limits = {} }: ClientOptions) =>
  createSplitSharing({ choice: limits.split, concurrency: limits.concurrency });

const imageLimitsOf = ({ limits = {} }: ClientOptions) => ({
  entries: limits.imageEntries ?? defaultImageLimits.entries,
  memory: limits.imageTreeBytes ?? defaultImageLimits.memory,
});

/** Wrong options are `INVALID_CONFIG` at once. Nothing is sent before the first operation. */
export function createClient(given: ClientOptions = {}): Client {
  checkClientOptions(given);
  const config = parseConfig(given.config === undefined ? {} : given.config);
  const options = withSettings(given, config);
  const { externalUrls = 'allow', resolver, onEvent } = options;
  const emit = createEmit(onEvent);
  const usable = usableConfig(config, options);
  const planner = planHosts(usable.config);
  const warnings = [...(config.warnings ?? []), ...planner.warnings, ...usable.warnings];
  for (const text of warnings) emit({ type: 'warning', text });
  const hostsOf = withPatience(resolver ? checkResolver(resolver) : planner.hosts, patienceOf(options));
  const pool = options.transport ? undefined : connectedTransport(options, usable.config);
  const transport = options.transport ?? pool;
  if (!transport) throw cannot('UNSUPPORTED', 'create a client', 'there is no transport');
  const closing = new AbortController();
  const encodings = createEncodings(options.codecs);
  const context: RequestContext = {
    send: compose(transport, options, { config, planner, encodings, emit, closing: closing.signal }),
    encodings,
    emit,
    ...settingsOf(options),
    ...comparisonsOf(options, emit),
  };
  const shared = { ...context, ...timesOf(options), liars: createLiars(), closing: closing.signal };
  const remote = { context, externalUrls, sharing: sharingOf(options) };
  const fetcherOf = (repository: Repository): Fetcher =>
    createFetcher(repository, remoteRepository(repository, hostsOf(repository), remote), shared);
  const using = { ...shared, fetcherOf };
  const resolve = (reference: Reference, call: ResolveOptions | undefined, label: string) =>
    resolveReference(reference, call, { ...using, label });
  const parse = (text: string): Reference => parseReference(expanded(text, config));
  const close = async (): Promise<void> => {
    closing.abort(new RegistryError('CLOSED', 'The client was closed', { found: 'the client was closed' }));
    await pool?.close();
  };
  return {
    plan: (text) => {
      const reference = parse(text);
      const { endpoints, skipped } = hostsOf(reference);
      return { reference, endpoints: safeRecord(endpoints.map(printable)), skipped: safeRecord(skipped) };
    },
    resolve: async (text, call) => {
      const reference = parse(text);
      return { reference, ...(await resolve(reference, call, text)) };
    },
    pull: async (text, pulling) => pull(parse(text), pulling, { ...using, label: text }),
    files: async (text, choice) =>
      openImage(parse(text), choice, { ...using, resolve, label: text, imageLimits: imageLimitsOf(options) }),
    fetcher: (repository) =>
      withNamedSource(fetcherOf(isRepository(repository) ? repository : parseRepository(expanded(repository, config)))),
    close,
    [asyncDispose]: close,
  };
}

/** The client's own connections: over sockets, unless a dispatcher makes them. */
const connectedTransport = ({ timeouts, network }: ClientOptions, { proxy }: Config): ConnectedTransport =>
  network?.dispatcher
    ? undiciTransport({ timeouts, proxy, network })
    : socketTransport({ timeouts, proxy, family: network?.family });

/** Anything but a string is refused by `parseReference`. */
const expanded = (text: string, { shortNames }: Config): string =>
  typeof text === 'string' ? expandShortName(text, shortNames) : text;

const isRepository = (value: unknown): value is Repository =>
  typeof value === 'object' && value !== null && 'registry' in value && 'name' in value;

interface Composed {
  readonly config: Config;
  readonly planner: HostPlanner;
  readonly encodings: Encodings;
  readonly emit: Emit;
  readonly closing: AbortSignal;
}

/** What is remembered of hosts to compare them. */
function comparisonsOf(options: ClientOptions, emit: Emit): Pick<RequestContext, 'contests' | 'paces' | 'useful'> {
  const { hedge, crawl } = patienceOf(options);
  const standing = createStanding({ pause: options.timeouts?.pause });
  return {
    contests: createContests({ isHedged: hedge > 0, standing, emit }),
    paces: createPaces({ crawl }),
    useful: new Map(),
  };
}

/** The wrappers around an exchange, outermost first. */
function compose(
  transport: Transport,
  {
    timeouts = {},
    retries = {},
    limits = {},
    externalUrls = 'allow',
    allowPrivate: given = [],
    userAgent,
  }: ClientOptions,
  { config, planner, encodings, emit, closing }: Composed,
): Transport {
  const allowPrivate = [...given, ...(config.allowPrivate ?? []), ...allowedHosts(externalUrls)];
  const loginFor = loginFrom(config.credentials);
  return wrap(
    transport,
    endedBy(closing),
    // A retry starts at the registry again, because the URLs of redirects expire.
    retry({ ...retries, retryAfter: timeouts.retryAfter, emit }),
    upgrade({ emit }),
    namespace({ emit }),
    redirects({ limit: limits.redirects, emit }),
    // Inside redirects: each hop is authorized for its own origin.
    authorize({ loginFor, userAgent, tokenBytes: limits.tokenBytes, decode: decoderOf(encodings), emit }),
    trust({ tlsFor: planner.tlsFor, allowPrivate }),
    health({ pause: timeouts.pause, retryAfter: timeouts.retryAfter, emit }),
    concurrencyLimits({ concurrency: limits.concurrency, unread: timeouts.unread, emit }),
    lateness({ least: patienceOf({ timeouts }).hedge }),
    log(emit),
    guard(),
    // Innermost: it sees what is sent.
    discretion(),
  );
}

/** Ends every exchange, including its body, when `signal` fires, and refuses later ones; also when another host has responded first. */
const endedBy =
  (signal: AbortSignal): Wrapper =>
  (next) =>
  async (request) => {
    if (signal.aborted) throw abortError(signal.reason);
    const limit = deadline(signal, request.signal, request.contest?.signal);
    try {
      return whenEnded(await next({ ...request, signal: limit.signal }), () => limit.end());
    } catch (error) {
      limit.end();
      throw error;
    }
  };
