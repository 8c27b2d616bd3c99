import { longestTimer } from '../abort.ts';
import type { Codecs } from '../codec/codec.ts';
import type { Config, HostConfig, OriginConfig, RegistryConfig } from '../config/model.ts';
import { allowedHostProblem } from '../config/registry-keys.ts';
import type { ClientLimits, ClientRetries, ClientTimeouts } from '../config/settings.ts';
import { type ConfigProblem, configError } from '../errors.ts';
import type { ClientEvent } from '../events.ts';
import type { Transport } from '../http/transport.ts';
import type { NetworkOptions } from '../http/undici.ts';
import type { Repository } from '../oci/reference.ts';
import { rootOf } from '../oci/registry.ts';
import { anything, type Check, type Checks, checkOptions, listener, wholeNumber } from '../text/problems.ts';
import type { ExternalUrls } from './external.ts';
import type { Hosts, Resolver } from './plan.ts';

/** The options of a client. They are checked: `INVALID_CONFIG`. */
export interface ClientOptions {
  /** Registries, mirrors, rewrites and credentials. None: every registry at its own address, anonymously. */
  readonly config?: Config | undefined;
  /** The user's own host list, in place of the registries of `config`. */
  readonly resolver?: Resolver | undefined;
  /** In place of the client's own connections. It is not closed with the client. */
  readonly transport?: Transport | undefined;
  /** Only IPv4 or only IPv6, or a dispatcher of undici; not beside `transport`. */
  readonly network?: NetworkOptions | undefined;
  /** Decoders beside the standard ones or in their place, by the name of their encoding. */
  readonly codecs?: Codecs | undefined;
  readonly userAgent?: string | undefined;
  readonly onEvent?: ((event: ClientEvent) => void) | undefined;
  /** These and the next two take precedence over those of `config`, one by one. */
  readonly timeouts?: ClientTimeouts | undefined;
  readonly retries?: ClientRetries | undefined;
  readonly limits?: ClientLimits | undefined;
  /** Default: allowed, at public addresses only. */
  readonly externalUrls?: ExternalUrls | undefined;
  /**
   * What may have a private address although a public registry refers to it, by a redirect, a token realm or the `urls` of a
   * descriptor, in addition to `config.allowPrivate`: `host`, `host:port`, `.domain` for all below it, an address, a CIDR block.
   */
  readonly allowPrivate?: readonly string[] | undefined;
}

const isFunction = (value: unknown): boolean => typeof value === 'function';

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const group =
  (checks: Checks): Check =>
  () =>
    checks;

const hostList: Check = (value) =>
  Array.isArray(value) && value.every((host) => typeof host === 'string' && allowedHostProblem(host) === undefined)
    ? undefined
    : 'expected a list of hosts, each host, host:port, .domain, an address or a CIDR block';

/** Milliseconds. */
const time = wholeNumber(1, longestTimer);
const timeOrNone = wholeNumber(0, longestTimer);

const checks: Readonly<Record<keyof ClientOptions, Check>> = {
  // Checked by `parseConfig`.
  config: anything,
  resolver: listener,
  transport: listener,
  network: group({
    family: (value) => (value === 4 || value === 6 ? undefined : 'expected 4 or 6'),
    dispatcher: (value) =>
      isRecord(value) && isFunction(value.request) ? undefined : 'expected a dispatcher of undici',
  }),
  codecs: (value) => (isRecord(value) ? codecChecks(Object.keys(value)) : 'expected functions by encoding'),
  userAgent: (value) =>
    typeof value === 'string' && /^[\x20-\x7e]+$/.test(value) ? undefined : 'expected printable ASCII',
  onEvent: listener,
  timeouts: group({
    connect: time,
    headers: time,
    idle: time,
    minimumSpeed: wholeNumber(0),
    hedge: timeOrNone,
    crawl: timeOrNone,
    operation: time,
    retryAfter: timeOrNone,
    unread: time,
    pause: timeOrNone,
  }),
  retries: group({ tries: wholeNumber(1), backoff: timeOrNone }),
  limits: group({
    manifestBytes: wholeNumber(1),
    tokenBytes: wholeNumber(1),
    redirects: wholeNumber(0),
    pages: wholeNumber(1),
    listBytes: wholeNumber(1),
    concurrency: wholeNumber(1),
    discardBytes: wholeNumber(0),
    imageEntries: wholeNumber(1),
    imageTreeBytes: wholeNumber(1),
    split: (value) =>
      value === 'auto' || value === 'always' || value === 'never' ? undefined : 'expected "auto", "always" or "never"',
  }),
  allowPrivate: hostList,
  externalUrls: (value) => {
    if (value === 'allow' || value === 'deny') return undefined;
    if (isRecord(value) && value.allowPrivate !== undefined) return { allowPrivate: hostList };
    return 'expected "allow", "deny" or an object with "allowPrivate"';
  },
};

const codecChecks = (names: readonly string[]): Checks =>
  Object.fromEntries(
    names.map((name) => [
      name,
      /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) ? listener : () => 'expected the name of an encoding in lower case',
    ]),
  );

/** Refuses unknown options, wrong values, and options that exclude each other: `INVALID_CONFIG`. */
export function checkClientOptions(options: ClientOptions): void {
  const attempted = 'create a client';
  checkOptions(attempted, options, checks);
  const { network, transport } = options;
  const problems: ConfigProblem[] = [];
  if (network && transport)
    problems.push({ key: 'network', found: 'found beside "transport", expected only one of them' });
  if (network?.family !== undefined && network.dispatcher !== undefined) {
    problems.push({ key: 'network', found: 'found "family" and "dispatcher", expected only one of them' });
  }
  if (problems.length > 0) throw configError(attempted, problems);
}

/** The options with the settings of a configuration that they do not give themselves. */
export const withSettings = (options: ClientOptions, { timeouts, retries, limits }: Config): ClientOptions => ({
  ...options,
  timeouts: { ...timeouts, ...given(options.timeouts) },
  retries: { ...retries, ...given(options.retries) },
  limits: { ...limits, ...given(options.limits) },
});

const given = <T extends object>(settings: T | undefined): Partial<T> =>
  Object.fromEntries(Object.entries(settings ?? {}).filter(([, value]) => value !== undefined)) as Partial<T>;

/** Milliseconds after which a host that is slow is compared with others. */
export interface Patience {
  readonly hedge: number;
  readonly crawl: number;
}

export const patienceOf = ({ timeouts: { hedge = 300, crawl = 5_000 } = {} }: ClientOptions): Patience => ({
  hedge,
  crawl,
});

/** The same hosts; each endpoint before another one says how long it may be slow. */
export const withPatience =
  (hostsOf: (repository: Repository) => Hosts, { hedge, crawl }: Patience) =>
  (repository: Repository): Hosts => {
    const { endpoints, skipped } = hostsOf(repository);
    const own = { ...(hedge > 0 && { hedge }), ...(crawl > 0 && { crawl }) };
    const last = endpoints.length - 1;
    return { endpoints: endpoints.map((each, index) => (index < last ? { ...each, ...own } : each)), skipped };
  };

/** The part of a configuration that can be used with a client's options, and warnings about the rest. */
export interface UsableConfig {
  readonly config: Config;
  readonly warnings: readonly string[];
}

/** The user's own transport does not use our proxies; a dispatcher also has its own TLS settings. */
export function usableConfig(config: Config, { transport, network }: ClientOptions): UsableConfig {
  const given = transport ? 'a transport' : network?.dispatcher ? 'a dispatcher' : undefined;
  if (given === undefined) return { config, warnings: [] };
  const { http, https, all } = config.proxy ?? {};
  const hasProxy = (http ?? https ?? all) !== undefined;
  const bare = { ...config, proxy: undefined };
  const { registries, settings } = transport
    ? { registries: config.registries, settings: [] }
    : withoutConnectionSettings(config);
  const [first, ...others] = new Set(settings);
  const hosts = `${first}${others.length > 0 ? `, and ${others.length} more` : ''}`;
  return {
    config: { ...bare, registries },
    warnings: [
      ...(hasProxy ? [`the proxies of the configuration are not used: the client was given ${given}`] : []),
      ...(first === undefined
        ? []
        : [`tls and connectTimeout of the configuration are not used (${hosts}): the client was given ${given}`]),
    ],
  };
}

/** The registries without their connection settings, and where those were declared. */
function withoutConnectionSettings({
  registries = {},
}: Config): Pick<Config, 'registries'> & { readonly settings: string[] } {
  const settings: string[] = [];
  const bare = <Host extends OriginConfig>(host: Host, key: string): Host => {
    if (!host.tls && host.connectTimeout === undefined) return host;
    settings.push(host.declaredAt ?? nameOf(host, key));
    return { ...host, tls: undefined, connectTimeout: undefined };
  };
  const entries = Object.entries(registries).map(([key, registry]): [string, RegistryConfig] => {
    const { origin, mirrors } = registry;
    return [
      key,
      {
        ...registry,
        ...(mirrors && { mirrors: mirrors.map((host) => bare<HostConfig>(host, key)) }),
        ...(typeof origin === 'object' && { origin: bare(origin, key) }),
      },
    ];
  });
  return { registries: Object.assign(Object.create(null), Object.fromEntries(entries)), settings };
}

const nameOf = ({ url, overridePath }: OriginConfig, key: string): string =>
  url === undefined ? key : rootOf({ url, overridePath });
