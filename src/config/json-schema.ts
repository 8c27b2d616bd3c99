import { z } from 'zod';
import { configSchema } from './schema.ts';

/** What each key is for, as an editor shows it; a key has one meaning wherever it stands, unless it is listed below another one. */
const descriptions: Readonly<Record<string, string>> = {
  registries:
    'By registry as references name it: host[:port], host[:port]/path for the repositories below a path (the longest wins), *.domain for all hosts below a domain, or * for all others.',
  mirrors: 'Hosts that are contacted for the content of the registry, in this order.',
  origin:
    'Contacted last: the registry itself if left out or without a url, "never", or another host. Under *, settings without a url are for every registry at its own address.',
  blocked: 'The registry is never contacted, nor are its mirrors; nor is it as a mirror of others.',
  declaredAt: 'file:line of the declaration, for people. Filled in automatically.',
  url: 'https://mirror.example/prefix: the API root is this and /v2.',
  overridePath: 'The API root is the url as it is, without /v2.',
  capabilities:
    'What the host is trusted with: pull for content by digest, resolve for the meaning of tags, referrers. All of them if left out.',
  rewrites: 'Rules for the repository name on this host. The first that matches replaces all its matches.',
  pattern: 'RE2 regular expression, searched for in the repository name.',
  replacement:
    'Groups of the pattern are $1 or $name, in braces if a letter, a digit or _ follows; $$ is a dollar sign.',
  omitNamespace: 'Requests do not name the registry that this host stands for, in the parameter ns.',
  headers: 'Headers that are sent only to this host.',
  tls: 'Certificates of this host: PEM texts, or paths relative to the file.',
  ca: 'Certificates of the authorities that are trusted.',
  cert: 'Certificate of this client.',
  key: 'Private key of this client.',
  insecureSkipVerify: 'Accepts any certificate.',
  allowPrivate:
    'What may have a private address although a registry refers to it: host, host:port, .domain, an address, a CIDR block.',
  connectTimeout: 'Milliseconds to connect in.',
  requestsPerSecond: 'Most requests begun in a second.',
  concurrency: "Most exchanges at a time, if fewer than the client's own limit.",
  credentials: 'Logins by host[:port][/path] of the endpoint; the longest path that fits is taken.',
  username: 'With password.',
  password: 'With username.',
  identityToken: 'Is exchanged for a token of the registry.',
  registryToken: 'Is sent to the registry as it is.',
  proxy: 'URLs of proxies, by the scheme of the request; they may contain a login.',
  http: 'Proxy for http.',
  https: 'Proxy for https.',
  all: 'Proxy for schemes without one of their own.',
  no: 'Hosts that are contacted without a proxy.',
  shortNames: 'What a name without a registry stands for.',
  aliases: 'Names in full by their short ones: fedora is registry.fedoraproject.org/fedora.',
  search: 'Registries of names that have none, in place of docker.io.',
  timeouts: 'Limits of time, in milliseconds.',
  connect: 'To connect, TLS included. Default: 10000, or 3000 if another host is left.',
  'timeouts.headers':
    'From sending a request to the end of the head of its response. Default: 30000, or 10000 if another host is left.',
  idle: 'Without a byte of a body. Default: 30000.',
  minimumSpeed:
    'Bytes per second, below which a body is broken off if another host is left. Default: 4096; 0 for none.',
  hedge:
    'Without the head of a response, after which the next host is requested, too. Default: 300, or three times what the host took before; 0: never.',
  crawl:
    'Over which a body is compared with what other hosts bring; below a tenth of that, the next one continues. Default: 5000; 0: never.',
  operation: 'For resolving a reference, or reading one content. Default: none.',
  retryAfter: 'The longest Retry-After that is waited for. Default: 60000.',
  unread: 'How long a request waits for bodies that nobody reads. Default: 60000.',
  pause: 'How long a host that failed is skipped. Default: 30000.',
  retries: 'How often a host is tried.',
  tries:
    'Most requests to one host for the same content if no other host is left. Default: 3, and further ones for ten seconds to a host that has served before.',
  backoff: 'Milliseconds before the second request; doubles each time. Default: 200.',
  limits: 'Limits of sizes and numbers.',
  manifestBytes: 'Most bytes of a manifest or index. Default: 4194304.',
  tokenBytes: 'Most bytes of a token response. Default: 1048576.',
  redirects: 'Most redirects of one request. Default: 10.',
  pages: 'Most pages of a list. Default: 1000.',
  listBytes: 'Most bytes of a list, all pages together. Default: 16777216.',
  'limits.concurrency': 'Exchanges with one host at a time. Default: 8, and 64 with small contents of a copy.',
  split:
    'Whether content of 8 MiB or more is read over several connections and from several mirrors: auto, always or never. Default: auto, if that makes it measurably faster.',
  discardBytes: 'Most bytes dropped to reach a range at a host without support for ranges. Default: 16777216.',
  imageEntries: 'Most entries of the layers of an image whose files are listed or opened. Default: 1000000.',
  imageTreeBytes: 'Most bytes of memory for their names, estimated. Default: 167772160.',
  warnings: 'What was found while files were read. Filled in automatically.',
};

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** The JSON Schema (draft 2020-12) of ocifetch's own configuration file, for editors. */
export function configJsonSchema(): Record<string, unknown> {
  const {
    $schema,
    properties,
    '~standard': _,
    ...rest
  } = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' });
  return {
    $schema,
    title: 'ocifetch configuration',
    ...rest,
    properties: { $schema: { type: 'string', description: 'Where this schema is.' }, ...describedKeys(properties) },
  };
}

/** The schema with descriptions, and without functions, which no file can hold. */
function described(schema: JsonSchema, name = ''): JsonSchema {
  const { properties, items, additionalProperties, anyOf } = schema;
  const forms = anyOf?.filter((form) => Object.keys(form).length > 0).map((form) => described(form));
  const { anyOf: _, ...rest } = schema;
  return {
    ...rest,
    ...(forms && (forms.length === 1 ? forms[0] : { anyOf: forms })),
    ...(properties && { properties: describedKeys(properties, name) }),
    ...(isSchema(items) && { items: described(items) }),
    ...(isSchema(additionalProperties) && { additionalProperties: described(additionalProperties) }),
  };
}

function describedKeys(properties: JsonSchema['properties'] = {}, parent = ''): NonNullable<JsonSchema['properties']> {
  return Object.fromEntries(
    Object.entries(properties).map(([key, schema]) => [
      key,
      isSchema(schema) ? { ...describe(key, parent), ...described(schema, key) } : schema,
    ]),
  );
}

const describe = (key: string, parent: string): { description?: string } => {
  const description = descriptions[`${parent}.${key}`] ?? descriptions[key];
  return description === undefined ? {} : { description };
};

const isSchema = (schema: unknown): schema is JsonSchema =>
  typeof schema === 'object' && schema !== null && !Array.isArray(schema);
