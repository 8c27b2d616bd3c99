import { z } from 'zod';
import { bucketSchema, nodeSchema } from './registry-node.ts';
import { address, duration, flag, needless, secret, table, text, unsupported, url, whole } from './values.ts';

const headers = z.record(z.string(), z.union([text, z.array(text)]));

/** One driver, and how it is used. */
const storage = table({
  filesystem: table({ rootdirectory: text, maxthreads: needless }).optional(),
  inmemory: table({}).optional(),
  s3: bucketSchema.optional(),
  delete: table({ enabled: flag.optional() }).optional(),
  redirect: table({ disable: flag.optional() }).optional(),
  cache: table({
    blobdescriptor: z.enum(['inmemory', 'redis'], 'expected inmemory or redis').optional(),
    blobdescriptorsize: whole(0).optional(),
    layerinfo: z.enum(['inmemory', 'redis'], 'expected inmemory or redis').optional(),
  }).optional(),
  maintenance: table({
    uploadpurging: table({
      enabled: flag.optional(),
      age: duration.optional(),
      interval: duration.optional(),
      dryrun: z.literal(false, 'not supported').optional(),
    }).optional(),
    readonly: table({ enabled: flag.optional() }).optional(),
  }).optional(),
  tag: table({ concurrencylimit: needless }).optional(),
  azure: unsupported('use filesystem, inmemory or s3'),
  gcs: unsupported('use filesystem, inmemory or s3'),
  swift: unsupported('use filesystem, inmemory or s3'),
  oss: unsupported('use filesystem, inmemory or s3'),
  cos: unsupported('use filesystem, inmemory or s3'),
  rados: unsupported('use filesystem, inmemory or s3'),
});

const action = z.enum(['pull', 'push', 'delete', '*'], 'expected pull, push, delete or *');
const access = table({
  rules: z.array(
    table({
      repositories: z.array(text),
      users: z.array(text).optional(),
      groups: z.array(text).optional(),
      anonymous: flag.optional(),
      actions: z.array(action),
    }),
  ),
  groups: z.record(z.string(), z.array(text)).optional(),
});

const auth = table({
  none: unsupported('leave auth out'),
  silly: table({ realm: text, service: text }).optional(),
  htpasswd: table({ realm: text, path: text }).optional(),
  token: table({
    realm: url.optional(),
    service: text,
    issuer: text,
    rootcertbundle: text.optional(),
    jwks: text.optional(),
    signingalgorithms: z.array(text).optional(),
    autoredirect: flag.optional(),
    autoredirectpath: text.optional(),
  }).optional(),
});

const middleware = z.array(
  table({ name: text, disabled: flag.optional(), options: z.record(z.string(), z.unknown()).optional() }),
);

const http = table({
  addr: address.optional(),
  net: z.literal('tcp', 'not supported: only tcp').optional(),
  host: url.optional(),
  prefix: text.regex(/^\/(?:.*\/)?$/, 'expected a path that begins and ends with a slash').optional(),
  secret: needless,
  relativeurls: flag.optional(),
  draintimeout: duration.optional(),
  tls: table({
    certificate: text.optional(),
    key: text.optional(),
    clientcas: z.array(text).optional(),
    clientauth: z.enum(['require-and-verify-client-cert', 'verify-client-cert-if-given'], 'not supported').optional(),
    minimumtls: z.enum(['tls1.2', 'tls1.3'], 'expected tls1.2 or tls1.3').optional(),
    ciphersuites: unsupported(),
    letsencrypt: unsupported('get the certificate by another program'),
  }).optional(),
  debug: table({
    addr: address.optional(),
    prometheus: table({ enabled: flag.optional(), path: text.regex(/^\//, 'expected a path').optional() }).optional(),
  }).optional(),
  headers: headers.optional(),
  http2: table({ disabled: z.literal(true, 'not supported: requests are HTTP/1.1') }).optional(),
  h2c: table({ enabled: z.literal(false, 'not supported: requests are HTTP/1.1') }).optional(),
  trustedproxies: z.array(text).optional(),
});

const endpoint = table({
  name: text,
  disabled: flag.optional(),
  url,
  headers: z.record(z.string(), z.union([secret, z.array(secret)])).optional(),
  timeout: duration.optional(),
  threshold: whole(1).optional(),
  backoff: duration.optional(),
  ignoredmediatypes: z.array(text).optional(),
  ignore: table({ mediatypes: z.array(text).optional(), actions: z.array(text).optional() }).optional(),
});

const redis = table({
  addr: text.optional(),
  addrs: z.array(text).length(1, 'not supported: expected one address').optional(),
  username: text.optional(),
  password: secret.optional(),
  db: whole(0).optional(),
  dialtimeout: duration.optional(),
  readtimeout: duration.optional(),
  writetimeout: duration.optional(),
  pool: table({
    maxidle: whole(0).optional(),
    maxactive: whole(0).optional(),
    idletimeout: duration.optional(),
  }).optional(),
  maxidleconns: whole(0).optional(),
  poolsize: whole(0).optional(),
  connmaxidletime: duration.optional(),
  tls: table({
    enabled: flag.optional(),
    certificate: text.optional(),
    key: text.optional(),
    clientcas: z.array(text).optional(),
    rootcas: z.array(text).optional(),
    servername: text.optional(),
  }).optional(),
  sentinelmasterset: unsupported(),
  sentinel: unsupported(),
  cluster: unsupported(),
});

const check = { interval: duration.optional(), threshold: whole(1).optional() };
const health = table({
  storagedriver: table({ enabled: flag.optional(), ...check }).optional(),
  file: z.array(table({ file: text, ...check, threshold: unsupported() })).optional(),
  http: z
    .array(
      table({
        uri: url,
        headers: headers.optional(),
        statuscode: whole(100, 599).optional(),
        timeout: duration.optional(),
        ...check,
      }),
    )
    .optional(),
  tcp: z.array(table({ addr: address, timeout: duration.optional(), ...check })).optional(),
});

/** The file of the registry app. */
export const appSchema = table({
  version: z.union([z.literal(0.1), z.literal('0.1')], 'expected 0.1'),
  log: table({
    level: z.enum(['error', 'warn', 'info', 'debug', 'trace'], 'expected error, warn, info, debug or trace').optional(),
    formatter: z.enum(['text', 'json', 'logstash'], 'expected text, json or logstash').optional(),
    fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
    accesslog: table({
      disabled: z.literal(true, 'not supported: the log has a line for each response').optional(),
    }).optional(),
    reportcaller: z.literal(false, 'not supported').optional(),
    hooks: unsupported('send mail by another program'),
  }).optional(),
  loglevel: unsupported('write it as log.level'),
  storage: storage.optional(),
  registry: nodeSchema.optional(),
  auth: auth.optional(),
  access: access.optional(),
  middleware: table({
    registry: middleware.optional(),
    repository: unsupported('use middleware.registry'),
    storage: z
      .array(
        table({
          name: z.literal('redirect', 'not supported, expected redirect'),
          disabled: flag.optional(),
          options: table({ baseurl: url }),
        }),
      )
      .max(1, 'expected one at most')
      .optional(),
  }).optional(),
  reporting: unsupported('use notifications or the log'),
  http: http.optional(),
  notifications: table({
    events: table({ includereferences: flag.optional() }).optional(),
    endpoints: z.array(endpoint).optional(),
    directory: text.optional(),
  }).optional(),
  redis: redis.optional(),
  health: health.optional(),
  proxy: table({
    remoteurl: url,
    username: secret.optional(),
    password: secret.optional(),
    ttl: unsupported('bound what is kept, by bytes'),
    bytes: whole(1, Number.MAX_SAFE_INTEGER).optional(),
    exec: unsupported(),
  }).optional(),
  validation: unsupported('manifests are checked always, URLs of layers never'),
  policy: unsupported('use access'),
  compatibility: unsupported(),
  catalog: table({ maxentries: whole(1).optional() }).optional(),
  tags: table({ maxtags: whole(1).optional() }).optional(),
}).superRefine((value, context) => {
  const refuse = (path: (string | number)[], message: string): void =>
    context.addIssue({ code: 'custom', path, message });
  const { storage: kept, registry, auth: login, redis: cache } = value;
  const drivers = kept ? (['filesystem', 'inmemory', 's3'] as const).filter((name) => kept[name] !== undefined) : [];
  if (!kept && !registry) refuse([], 'expected storage, or registry');
  if (registry && drivers.length > 0) refuse(['registry'], 'expected either registry or a driver of storage');
  if (kept && !registry && drivers.length !== 1) refuse(['storage'], 'expected one of filesystem, inmemory and s3');
  if (login && Object.keys(login).length !== 1) refuse(['auth'], 'expected one of silly, htpasswd and token');
  if (kept?.cache?.blobdescriptor === 'redis' && !cache)
    refuse(['storage', 'cache', 'blobdescriptor'], 'expected a section redis');
  if (kept?.s3 && (kept.s3.accesskey === undefined) !== (kept.s3.secretkey === undefined))
    refuse(['storage', 's3'], 'expected accesskey and secretkey, or neither');
  if (value.proxy && registry) refuse(['proxy'], 'expected storage with it: use cached and remote in registry');
  if (value.proxy && (value.proxy.username === undefined) !== (value.proxy.password === undefined))
    refuse(['proxy'], 'expected username and password, or neither');
  if (value.http?.debug?.prometheus?.enabled && !value.http.debug.addr)
    refuse(['http', 'debug', 'prometheus'], 'expected http.debug.addr with it');
  if (cache && !cache.addr && !cache.addrs) refuse(['redis'], 'expected addr');
  if (value.http?.tls && (value.http.tls.certificate === undefined) !== (value.http.tls.key === undefined))
    refuse(['http', 'tls'], 'expected certificate and key');
  if (login?.token && !login.token.rootcertbundle && !login.token.jwks)
    refuse(['auth', 'token'], 'expected rootcertbundle or jwks');
});

/** Settings that change nothing here, and why, if the file has them. */
export function withoutEffect({ storage: kept, http: server, redis: cache }: AppSettings): readonly string[] {
  const found: readonly [isThere: boolean, text: string][] = [
    [
      kept?.filesystem?.maxthreads !== undefined,
      'storage.filesystem.maxthreads: the threads are those of Node, UV_THREADPOOL_SIZE',
    ],
    [kept?.tag?.concurrencylimit !== undefined, 'storage.tag.concurrencylimit: tags are not looked up one by one'],
    [server?.secret !== undefined, 'http.secret: uploads have random names, and no state that needs to be signed'],
    [cache?.pool?.maxidle !== undefined, 'redis.pool.maxidle: connections stay open for idletimeout'],
    [cache?.maxidleconns !== undefined, 'redis.maxidleconns: connections stay open for connmaxidletime'],
  ];
  return found.flatMap(([isThere, text]) => (isThere ? [text] : []));
}

/** What the file of the registry app says. */
export type AppSettings = z.infer<typeof appSchema>;
