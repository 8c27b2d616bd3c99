import {
  type ClientEvent,
  type ClientOptions,
  type Config,
  createClient,
  type Descriptor,
  type Endpoint,
  type Fetcher,
  isIndexType,
  machinePlatform,
  matchesPlatform,
  parseIndex,
  parseManifest,
  type Reference,
  RegistryError,
  socketTransport,
} from '../../index.ts';
import { type LoginFound, watchCredentials } from '../login-helpers.ts';
import { probe, type Step, type Target, targetOf } from './probes.ts';

/** What was found out about a host. */
export interface Examined {
  /** With the credentials that were sent, once it required any. */
  readonly endpoint: Endpoint;
  readonly steps: readonly Step[];
  /** What the reference names, according to this host. */
  readonly digest?: string | undefined;
  /** Seconds that this machine's clock is ahead of the host's `Date`. */
  readonly skew?: number | undefined;
  /** The credential helpers, `docker-credential-*`, without a login for the host, if it required one and got none. */
  readonly emptyHelpers?: readonly string[] | undefined;
}

export interface Examination {
  readonly config: Config;
  readonly reference: Reference;
  /** Milliseconds for each step. */
  readonly timeout: number;
  readonly limits: ClientOptions['limits'];
}

/**
 * Examines one host step by step: name, connection, certificate, then the API, token, manifest and a blob as a run requests
 * them, by a client that knows only this host. `name` is a tag or digest; undefined if the host is not to be sent it.
 */
export async function examine(
  endpoint: Endpoint,
  name: string | undefined,
  examination: Examination,
): Promise<Examined> {
  const { timeout } = examination;
  const { url, proxy, tls } = endpoint;
  const target = proxy === undefined ? targetOf(new URL(url), timeout, tls) : targetOf(new URL(proxy), timeout);
  const steps = await probe(target);
  if (steps.some(({ ok }) => !ok)) return { endpoint, steps };
  const secure = { ...endpoint, url: url.replace(/^http:/, 'https:') };
  const { step, skew } = await requestApi(endpoint, examination);
  // As a client: what speaks TLS on this machine is requested over https.
  if (!step.ok && isPlainLoopback(url) && (await speaksTls(targetOf(new URL(secure.url), timeout, tls))))
    return examine(secure, name, examination);
  if (name === undefined) return { endpoint, steps: [...steps, step], skew };
  const { steps: last, login, digest } = await requestManifest(endpoint, name, examination);
  return {
    digest,
    endpoint: login ? withLogin(endpoint, login) : endpoint,
    emptyHelpers: login?.empty,
    steps: [...steps, step, ...last],
    skew,
  };
}

const isPlainLoopback = (url: string): boolean =>
  /^http:\/\/(?:localhost|[^/:]+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?\//.test(url);

/** Whether a handshake gets as far as a certificate, trusted or not. */
async function speaksTls(target: Target): Promise<boolean> {
  const step = (await probe(target)).find(({ name }) => name === 'tls');
  return step !== undefined && (step.ok || /CERT|SELF_SIGNED|UNABLE_TO/.test(step.code ?? ''));
}

function withLogin({ credentials: _, ...endpoint }: Endpoint, { source }: LoginFound): Endpoint {
  return source === undefined ? endpoint : { ...endpoint, credentials: source };
}

/** `GET /v2/` without a login. A registry responds with 200 or 401. */
async function requestApi(
  endpoint: Endpoint,
  { config: { proxy }, timeout }: Examination,
): Promise<Pick<Examined, 'skew'> & { readonly step: Step }> {
  const transport = socketTransport({ timeouts: { connect: timeout, headers: timeout }, proxy });
  const started = performance.now();
  try {
    const headers = { ...endpoint.headers, 'user-agent': 'ocifetch' };
    const response = await transport({ method: 'GET', url: `${endpoint.url}/`, headers, tls: endpoint.tls });
    await response.body.cancel();
    const { status } = response;
    const { 'content-type': type = '', 'retry-after': retryAfter, date = '' } = response.headers;
    const isPage = /\bhtml\b/i.test(type);
    const time = Date.parse(date);
    return {
      step: {
        name: 'api',
        ok: !isPage && (status === 200 || status === 401),
        duration: performance.now() - started,
        found: isPage ? `${status}, a web page` : `${status}`,
        status,
        ...(retryAfter !== undefined && { retryAfter: retryAfter.slice(0, 40) }),
        ...(isPage && { code: 'WEB_PAGE' }),
      },
      ...(!Number.isNaN(time) && { skew: Math.round((Date.now() - time) / 1000) }),
    };
  } catch (error) {
    return { step: failedStep('api', error, performance.now() - started) };
  } finally {
    await transport.close();
  }
}

interface ManifestExamination extends Pick<Examined, 'steps' | 'digest'> {
  readonly login: LoginFound | undefined;
}

/** Resolves the reference at this host, as a run does. */
async function requestManifest(
  endpoint: Endpoint,
  name: string,
  { config, reference, timeout, limits }: Examination,
): Promise<ManifestExamination> {
  const { credentials, found: login } = watchCredentials(config.credentials, new URL(endpoint.url).host);
  const events: ClientEvent[] = [];
  const client = createClient({
    // What is configured of other hosts counts for those that this one leads to.
    config: { ...config, credentials },
    resolver: () => [{ ...endpoint, capabilities: ['pull', 'resolve'] }],
    timeouts: { connect: timeout, headers: timeout, idle: timeout },
    retries: { tries: 1 },
    limits,
    onEvent: (event) => events.push(event),
  });
  const fetcher = client.fetcher({ registry: reference.registry, name: reference.name });
  const started = performance.now();
  const before = (): { readonly token: readonly Step[]; readonly duration: number } => {
    const token = tokenStep(events, endpoint);
    const duration = Math.max(0, performance.now() - started - (token?.duration ?? 0));
    return { token: token ? [token] : [], duration };
  };
  try {
    const { descriptor } = await fetcher.resolve(name);
    const { digest } = descriptor;
    const { token, duration } = before();
    const blob = endpoint.capabilities.includes('pull')
      ? await requestBlob(descriptor, fetcher, { events, endpoint })
      : [];
    const manifest: Step = { name: 'manifest', ok: true, duration, found: digest };
    return { steps: [...token, manifest, ...blob], digest, login: login() };
  } catch (error) {
    const { token, duration } = before();
    const reason = token.every(({ ok }) => ok) ? await explained(error, fetcher, name) : error;
    return { steps: [...token, failedStep('manifest', reason, duration)], login: login() };
  } finally {
    await client.close();
  }
}

/** Most bytes of a blob that is read. */
const smallBlob = 65_536;

/** Reads the smallest blob of the image for this machine, or of the first one, wherever the host redirects to. */
async function requestBlob(
  root: Descriptor,
  fetcher: Pick<Fetcher, 'fetch'>,
  { events, endpoint }: { readonly events: readonly ClientEvent[]; readonly endpoint: Endpoint },
): Promise<Step[]> {
  const started = performance.now();
  const lastUrl = (): URL => new URL(events.findLast((event) => event.type === 'request')?.url ?? endpoint.url);
  try {
    const blob = await smallestBlob(root, fetcher);
    if (!blob) return [];
    await using content = await fetcher.fetch(blob);
    await content.read(Math.min(blob.size, smallBlob));
    return [{ name: 'blob', ok: true, duration: performance.now() - started, found: `from ${lastUrl().host}` }];
  } catch (error) {
    const { host } = lastUrl();
    const elsewhere = host === new URL(endpoint.url).host ? {} : { host };
    return [{ ...failedStep('blob', error, performance.now() - started), ...elsewhere }];
  }
}

async function smallestBlob(root: Descriptor, fetcher: Pick<Fetcher, 'fetch'>): Promise<Descriptor | undefined> {
  let at: Descriptor | undefined = root;
  for (let depth = 0; at && depth < 4; depth += 1) {
    await using content = await fetcher.fetch(at);
    const bytes = await content.bytes();
    if (!isIndexType(at.mediaType)) {
      const { config, layers = [] } = parseManifest(bytes, at.mediaType);
      const blobs = [...(config ? [config] : []), ...layers].filter(({ data, size }) => data === undefined && size > 0);
      return blobs.sort((a, b) => a.size - b.size)[0];
    }
    const { manifests } = parseIndex(bytes, at.mediaType);
    at = manifests.find(({ platform }) => platform && matchesPlatform(machinePlatform(), platform)) ?? manifests[0];
  }
  return undefined;
}

/** Sends GET after HEAD was refused without a reason, which only the body of a response has. */
async function explained(error: unknown, fetcher: Pick<Fetcher, 'resolve'>, name: string): Promise<unknown> {
  if (!(error instanceof RegistryError) || error.registryErrors.length > 0) return error;
  const { status = 0 } = error;
  if (status < 400 || status === 401) return error;
  return fetcher.resolve(name, { content: true }).then(
    () => error,
    (reason: unknown) => reason,
  );
}

/** The requests to the realm of a challenge, as one step. */
function tokenStep(events: readonly ClientEvent[], endpoint: Endpoint): Step | undefined {
  const requests = events.flatMap((event) =>
    event.type === 'request' &&
    !event.url.startsWith(`${endpoint.url}/`) &&
    (event.method === 'POST' || /[?&](?:service|scope)=/.test(event.url))
      ? [event]
      : [],
  );
  const last = requests.at(-1);
  if (!last) return undefined;
  const { status } = last;
  return {
    name: 'token',
    ok: status === 200,
    duration: requests.reduce((sum, { duration }) => sum + duration, 0),
    found: `${status ?? last.outcome} from ${new URL(last.url).host}`,
    ...(status !== undefined && { status }),
  };
}

/** The step that an error ended: what was found, without what was attempted and the host. */
function failedStep(name: Step['name'], error: unknown, duration: number): Step {
  if (!(error instanceof RegistryError)) return { name, ok: false, duration, found: String(error), code: 'FAILED' };
  const { code, status, reason, message, found = message, attempts } = error;
  const words = attempts.at(-1)?.found ?? found;
  const helper = helperOf(error);
  return {
    name,
    ok: false,
    duration,
    found: status === 200 ? `200, ${words}` : words,
    code: code === 'UNAVAILABLE' ? (systemCode(error.cause) ?? code) : code,
    ...(status !== undefined && { status }),
    ...(reason !== undefined && { reason }),
    ...(helper && { helper }),
  };
}

/** The errors that an error came from, outermost first. */
function causesOf(error: unknown): readonly object[] {
  const causes: object[] = [];
  for (let one = error; typeof one === 'object' && one !== null && causes.length < 5; ) {
    causes.push(one);
    one = (one as { readonly cause?: unknown }).cause;
  }
  return causes;
}

/** The system's or Node's code of the innermost error that has one: `ECONNREFUSED`. */
const systemCode = (error: unknown): string | undefined =>
  causesOf(error)
    .map((cause) => (cause as { readonly code?: unknown }).code)
    .findLast((code): code is string => typeof code === 'string' && /^[A-Z][A-Z0-9_]+$/.test(code));

/** The credential helper whose failure an error came from. */
const helperOf = (error: unknown): Step['helper'] =>
  causesOf(error)
    .map((cause) => (cause instanceof RegistryError ? cause.helper : undefined))
    .find((helper) => helper !== undefined);
