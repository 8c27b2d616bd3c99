import { type ClientEvent, type Config, createClient, type Endpoint, type Reference } from '../index.ts';
import { askApi } from './ask-api.ts';
import { failed } from './failed-step.ts';
import { type LoginFound, watched } from './login-helpers.ts';
import { probe, type Step, targetOf } from './probes.ts';

/** What is known of a host when it was examined. */
export interface Examined {
  /** Its credentials are those that it was given, once it wanted any. */
  readonly endpoint: Endpoint;
  readonly steps: readonly Step[];
  /** What the reference names, where the host told. */
  readonly digest?: string | undefined;
  /** Seconds that the host's clock is before this one's; from its `Date`. */
  readonly skew?: number | undefined;
  /** The credential helpers, `docker-credential-*`, that have no login for it, where it wanted one and got none. */
  readonly emptyHelpers?: readonly string[] | undefined;
}

export interface Examination {
  readonly config: Config;
  readonly reference: Reference;
  /** Milliseconds for each step. */
  readonly timeout: number;
}

/**
 * Asks one host step by step: name, connection, certificate, then the API, token and manifest as a run asks for them,
 * with a client that knows this host alone. `asked` is the tag or digest; undefined where the host is not asked for it.
 */
export async function examine(endpoint: Endpoint, asked: string | undefined, around: Examination): Promise<Examined> {
  const { timeout } = around;
  const { url, proxy, tls } = endpoint;
  const target = proxy === undefined ? targetOf(new URL(url), timeout, tls) : targetOf(new URL(proxy), timeout);
  const steps = await probe(target);
  if (steps.some(({ ok }) => !ok)) return { endpoint, steps };
  const api = await askApi(endpoint, around);
  const before = [...steps, api.step];
  if (asked === undefined) return { endpoint, steps: before, skew: api.skew };
  const { steps: last, login, ...rest } = await askManifest(endpoint, asked, around);
  return {
    ...rest,
    endpoint: login ? withLogin(endpoint, login) : endpoint,
    emptyHelpers: login?.empty,
    steps: [...before, ...last],
    skew: api.skew,
  };
}

function withLogin({ credentials: _, ...endpoint }: Endpoint, { source }: LoginFound): Endpoint {
  return source === undefined ? endpoint : { ...endpoint, credentials: source };
}

/** What a run does to learn what a reference names, at this host. */
async function askManifest(
  endpoint: Endpoint,
  asked: string,
  { config, reference, timeout }: Examination,
): Promise<{ readonly steps: Step[]; readonly digest?: string | undefined; readonly login: LoginFound | undefined }> {
  const { credentials, found } = watched(config.credentials, new URL(endpoint.url).host);
  const events: ClientEvent[] = [];
  const client = createClient({
    config: { credentials, proxy: config.proxy },
    resolver: () => [{ ...endpoint, capabilities: ['pull', 'resolve'] }],
    timeouts: { connect: timeout, headers: timeout, idle: timeout },
    retries: { tries: 1 },
    onEvent: (event) => events.push(event),
  });
  const { registry, name } = reference;
  const started = performance.now();
  const manifest = async (): Promise<Step & { digest?: string }> => {
    try {
      const { descriptor } = await client.fetcher({ registry, name }).resolve(asked);
      const { digest } = descriptor;
      return { name: 'manifest', ok: true, duration: performance.now() - started, found: digest, digest };
    } catch (error) {
      return failed('manifest', error, performance.now() - started);
    }
  };
  const { digest, ...step } = await manifest();
  await client.close();
  const token = tokenStep(events, endpoint);
  const rest = Math.max(0, step.duration - (token?.duration ?? 0));
  return { steps: [...(token ? [token] : []), { ...step, duration: rest }], digest, login: found() };
}

/** The requests that went to the realm of a challenge, as one step. */
function tokenStep(events: readonly ClientEvent[], endpoint: Endpoint): Step | undefined {
  const asked = events.flatMap((event) =>
    event.type === 'request' &&
    !event.url.startsWith(`${endpoint.url}/`) &&
    (event.method === 'POST' || /[?&](?:service|scope)=/.test(event.url))
      ? [event]
      : [],
  );
  const last = asked.at(-1);
  if (!last) return undefined;
  const { status } = last;
  return {
    name: 'token',
    ok: status === 200,
    duration: asked.reduce((sum, { duration }) => sum + duration, 0),
    found: `${status ?? last.outcome} from ${new URL(last.url).host}`,
    ...(status !== undefined && { status }),
  };
}
