import { z } from 'zod';
import type { Codecs } from '../codec/codec.ts';
import { rootOf } from '../config/document/parts.ts';
import type { Config, HostConfig, OriginConfig, RegistryConfig } from '../config/model.ts';
import { configError } from '../errors.ts';
import type { ClientEvent } from '../events.ts';
import type { Transport, TransportTimeouts } from '../http/transport.ts';
import type { NetworkOptions } from '../http/undici.ts';
import { firstFault, pathText } from '../text/faults.ts';
import { nearest } from '../text/quote.ts';
import type { ExternalUrls } from './external.ts';
import type { Resolver } from './plan.ts';

/** What a client is made of. Numbers are checked: `INVALID_CONFIG`. */
export interface ClientOptions {
  /** Registries, mirrors, rewrites and credentials. None: every registry at its own address, anonymously. */
  readonly config?: Config | undefined;
  /** The user's own host list, in place of the registries of `config`. */
  readonly resolver?: Resolver | undefined;
  /** In place of undici. It is not closed with the client. */
  readonly transport?: Transport | undefined;
  /** IPv4 or IPv6 alone, or a dispatcher of undici's; not beside `transport`. */
  readonly network?: NetworkOptions | undefined;
  /** Decoders beside the standard ones or in their place, by the name of their encoding. */
  readonly codecs?: Codecs | undefined;
  readonly userAgent?: string | undefined;
  readonly onEvent?: ((event: ClientEvent) => void) | undefined;
  /** Milliseconds. */
  readonly timeouts?:
    | (TransportTimeouts & {
        /** For a `resolve`, a `fetchByDigest`, or one reading of a content. Unlimited by default. */
        readonly operation?: number | undefined;
        /** The longest `Retry-After` that is obeyed. Default 60,000. */
        readonly retryAfter?: number | undefined;
        /** How long a dead host is passed over. Default 30,000. */
        readonly pause?: number | undefined;
      })
    | undefined;
  readonly retries?:
    | {
        /** Most requests to one host for one question, where no other host is left. Default 3. */
        readonly tries?: number | undefined;
        /** Milliseconds before the second, doubling. Default 200. */
        readonly backoff?: number | undefined;
      }
    | undefined;
  readonly limits?:
    | {
        /** Default 4 MiB. */
        readonly manifestBytes?: number | undefined;
        /** Of a token's answer. Default 1 MiB. */
        readonly tokenBytes?: number | undefined;
        /** Default 10. */
        readonly redirects?: number | undefined;
        /** Pages of a list. Default 1,000. */
        readonly pages?: number | undefined;
        /** Exchanges with one origin at a time. Default 8. */
        readonly concurrency?: number | undefined;
        /** Bytes dropped to reach a range at a host that knows none. Default 16 MiB. */
        readonly discardBytes?: number | undefined;
      }
    | undefined;
  /** Default: allowed, at public addresses only. */
  readonly externalUrls?: ExternalUrls | undefined;
}

/** The longest time that a timer takes. */
const longest = 2 ** 31 - 1;

const count = z.number().int().nonnegative().optional();
const atLeastOne = z.number().int().positive().optional();
const time = z.number().int().nonnegative().max(longest).optional();
const someTime = z.number().int().positive().max(longest).optional();

const isFunction = (value: unknown): boolean => typeof value === 'function';
const someFunction = z.custom(isFunction, 'not a function').optional();

const hasRequest = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'request' in value && isFunction(value.request);
const network = z
  .strictObject({
    family: z.union([z.literal(4), z.literal(6)], 'not 4 or 6').optional(),
    dispatcher: z.custom(hasRequest, 'not a dispatcher of undici').optional(),
  })
  .refine(
    ({ family, dispatcher }) => family === undefined || dispatcher === undefined,
    'family and dispatcher at once',
  );

const groups = {
  network,
  timeouts: z.strictObject({
    connect: someTime,
    headers: someTime,
    idle: someTime,
    operation: someTime,
    retryAfter: time,
    pause: time,
  }),
  retries: z.strictObject({ tries: atLeastOne, backoff: time }),
  limits: z.strictObject({
    manifestBytes: atLeastOne,
    tokenBytes: atLeastOne,
    redirects: count,
    pages: atLeastOne,
    concurrency: atLeastOne,
    discardBytes: count,
  }),
};

const schema = z.strictObject({
  config: z.unknown().optional(),
  resolver: someFunction,
  transport: someFunction,
  network: groups.network.optional(),
  codecs: z
    .record(
      z.string().regex(/^[!#$%&'*+.^_`|~0-9a-z-]+$/, 'not the name of an encoding in lower case'),
      z.custom(isFunction, 'not a function'),
    )
    .optional(),
  onEvent: someFunction,
  timeouts: groups.timeouts.optional(),
  retries: groups.retries.optional(),
  limits: groups.limits.optional(),
  externalUrls: z.union([z.enum(['allow', 'deny']), z.strictObject({ allowPrivate: z.array(z.string()) })]).optional(),
  userAgent: z
    .string()
    .regex(/^[\x20-\x7e]+$/, 'not printable ASCII')
    .optional(),
});

/** Refuses unknown options and wrong values: `INVALID_CONFIG` with the option and what is wrong with it. */
export function checkClientOptions(options: ClientOptions): void {
  const checked = schema.safeParse(options);
  if (checked.success) {
    if (options?.transport === undefined || options.network === undefined) return;
    throw configError('create a client', [{ found: '"network" is given beside "transport"' }]);
  }
  const [issue] = checked.error.issues;
  const found = issue?.code === 'unrecognized_keys' ? unknownOption(issue) : firstFault(checked.error, options);
  throw configError('create a client', [{ found }]);
}

function unknownOption({ path, keys: [name = ''] }: z.core.$ZodIssueUnrecognizedKeys): string {
  const [group] = path;
  const { shape } = groups[group as keyof typeof groups] ?? schema;
  const near = nearest(name, Object.keys(shape));
  const hint = near === undefined ? '' : `, did you mean "${pathText([...path, near])}"?`;
  return `unknown option "${pathText([...path, name])}"${hint}`;
}

/** What of a configuration can be used with a client's options, and what of it cannot, in words. */
export interface UsableConfig {
  readonly config: Config;
  readonly warnings: readonly string[];
}

/** A transport of the user's own goes through no proxy of ours; a dispatcher has TLS settings of its own, too. */
export function usableConfig(config: Config, { transport, network }: ClientOptions): UsableConfig {
  const given = transport ? 'a transport' : network?.dispatcher ? 'a dispatcher' : undefined;
  if (given === undefined) return { config, warnings: [] };
  const { http, https, all } = config.proxy ?? {};
  const hasProxy = (http ?? https ?? all) !== undefined;
  const bare = { ...config, proxy: undefined };
  const { registries, settings } = transport ? { registries: config.registries, settings: [] } : connectless(config);
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

/** Registries without what is said of connections to them, and where it was said. */
function connectless({ registries = {} }: Config): Pick<Config, 'registries'> & { readonly settings: string[] } {
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
