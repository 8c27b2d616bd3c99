import { z } from 'zod';
import type { CredentialProvider, Login } from '../login.ts';
import { proxyProblem, proxyUrl } from '../proxy.ts';
import { quote } from '../text/quote.ts';
import {
  allowedHostProblem,
  credentialKeyProblem,
  registryKeyProblem,
  sameHeaders,
  urlProblem,
} from './registry-keys.ts';
import { isWellFormed, patternProblem } from './rewrite.ts';

const text = z
  .string('expected a text')
  .refine(isWellFormed, 'expected whole characters, not half of one (a lone surrogate)');
const flag = z.boolean('expected true or false');
const list = <Item extends z.ZodType>(item: Item, of: string) => z.array(item, `expected a list of ${of}`);

/** A text in which `problem` finds nothing wrong. */
const checked = (problem: (value: string) => string | undefined) =>
  text.check((context) => {
    const message = problem(context.value);
    if (message !== undefined) context.issues.push({ code: 'custom', input: context.value, message });
  });

const url = checked((value) => urlProblem(value));

const allowPrivate = list(checked(allowedHostProblem), 'hosts');

const rewrite = z.strictObject(
  {
    pattern: checked((pattern) => {
      const problem = patternProblem(pattern);
      return problem === undefined ? undefined : `expected an RE2 pattern: ${problem}`;
    }),
    replacement: text,
  },
  'expected an object',
);

const tls = z
  .strictObject(
    {
      ca: list(text, 'certificates').optional(),
      cert: text.optional(),
      key: text.optional(),
      insecureSkipVerify: flag.optional(),
      declaredAt: z.record(text, text, 'expected an object of texts').optional(),
    },
    'expected an object',
  )
  .check(({ value, issues }) => {
    const { cert, key } = value;
    if ((cert === undefined) === (key === undefined)) return;
    const [missing, given] = cert === undefined ? ['cert', 'key'] : ['key', 'cert'];
    issues.push({ code: 'custom', input: undefined, path: [missing], message: `expected one together with ${given}` });
  });

/** They decide where a request goes and ends, or which bytes it requests, so a configuration must not set them. */
const reserved = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'if-range',
  'keep-alive',
  'proxy-connection',
  'range',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What is wrong with the name of a header, in words. */
export function headerNameProblem(name: string): string | undefined {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) return 'expected a header name';
  return reserved.has(name.toLowerCase()) ? 'expected a header that the client does not set itself' : undefined;
}

const headerName = checked(headerNameProblem);
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
const headerValue = text.regex(/^[^\u0000-\u0008\u000a-\u001f\u007f\u0100-\uffff]*$/, 'expected a header value');

function onceEach({ value, issues }: z.core.ParsePayload<Record<string, string>>): void {
  const [first, duplicate] = sameHeaders(Object.keys(value)) ?? [];
  if (first === undefined || duplicate === undefined) return;
  const message = `the same header as ${quote(first)}, expected once`;
  issues.push({ code: 'custom', input: value[duplicate], path: [duplicate], message });
}

/** The longest time that a timer takes. */
const longest = 2 ** 31 - 1;

const host = z.strictObject(
  {
    url,
    overridePath: flag.optional(),
    capabilities: list(
      z.enum(['pull', 'resolve', 'referrers'], 'expected "pull", "resolve" or "referrers"'),
      'capabilities',
    ).optional(),
    rewrites: list(rewrite, 'rewrites').optional(),
    omitNamespace: flag.optional(),
    headers: z.record(headerName, headerValue, 'expected an object of headers').check(onceEach).optional(),
    tls: tls.optional(),
    allowPrivate: allowPrivate.optional(),
    connectTimeout: z
      .number('expected milliseconds')
      .positive('expected milliseconds above 0')
      .max(longest, `expected at most ${longest} milliseconds`)
      .optional(),
    requestsPerSecond: z.number('expected a number').positive('expected a number above 0').optional(),
    concurrency: z.int('expected a whole number').positive('expected a whole number above 0').optional(),
    declaredAt: text.optional(),
  },
  'expected an object with a url',
);

/** Without a URL it is the registry itself, and there is no path to keep. */
const origin = z
  .strictObject({ ...host.shape, url: url.optional() }, 'expected an object')
  .check(({ value, issues }) => {
    if (value.url !== undefined || value.overridePath === undefined) return;
    const message = 'expected a url with it';
    issues.push({ code: 'custom', input: value.overridePath, path: ['overridePath'], message });
  });

// A proxy's login has no other place.
const proxyText = checked(proxyProblem).transform(proxyUrl);

const registry = z.strictObject(
  {
    mirrors: list(host, 'mirrors').optional(),
    origin: z.union([z.literal('never'), origin], 'expected "never" or an object').optional(),
    blocked: flag.optional(),
    declaredAt: text.optional(),
  },
  'expected an object',
);

const login = z
  .strictObject(
    {
      username: text.optional(),
      password: text.optional(),
      identityToken: text.optional(),
      registryToken: text.optional(),
    },
    'expected a login',
  )
  .check((context) => {
    const { username, password, ...tokens } = context.value;
    const given = Object.values(tokens).filter((token) => token !== undefined).length;
    const isPair = username !== undefined && password !== undefined && given === 0;
    const isToken = username === undefined && password === undefined && given === 1;
    if (isPair || isToken) return;
    const message = 'expected username and password, or identityToken, or registryToken';
    context.issues.push({ code: 'custom', input: context.value, message });
  })
  .transform((value) => value as Login);

const provider = z.custom<CredentialProvider>((value) => typeof value === 'function');

const proxy = z.strictObject(
  {
    http: proxyText.optional(),
    https: proxyText.optional(),
    all: proxyText.optional(),
    no: list(text.min(1, 'expected a host'), 'hosts').optional(),
  },
  'expected an object',
);

const shortNames = z.strictObject(
  {
    aliases: z.record(text, text, 'expected an object of names').optional(),
    search: list(checked(registryKeyProblem), 'registries').optional(),
  },
  'expected an object',
);

const whole = (least: number, most = Number.MAX_SAFE_INTEGER) =>
  z
    .int('expected a whole number')
    .min(least, `expected a whole number from ${least} on`)
    .max(most, `expected at most ${most}`)
    .optional();
/** Milliseconds. */
const time = whole(1, longest);
const timeOrNone = whole(0, longest);

const timeouts = z.strictObject(
  {
    connect: time,
    headers: time,
    idle: time,
    minimumSpeed: whole(0),
    hedge: timeOrNone,
    crawl: timeOrNone,
    operation: time,
    retryAfter: timeOrNone,
    unread: time,
    pause: timeOrNone,
  },
  'expected an object of milliseconds',
);

const retries = z.strictObject({ tries: whole(1), backoff: timeOrNone }, 'expected an object of numbers');

const limits = z.strictObject(
  {
    manifestBytes: whole(1),
    tokenBytes: whole(1),
    redirects: whole(0),
    pages: whole(1),
    listBytes: whole(1),
    concurrency: whole(1),
    discardBytes: whole(0),
    imageEntries: whole(1),
    imageTreeBytes: whole(1),
    split: z.enum(['auto', 'always', 'never'], 'expected "auto", "always" or "never"').optional(),
  },
  'expected an object of numbers',
);

export const configSchema = z.strictObject(
  {
    registries: z.record(checked(registryKeyProblem), registry, 'expected an object of registries').optional(),
    credentials: z
      .union(
        [provider, z.record(checked(credentialKeyProblem), login, 'expected an object of logins or a function')],
        'expected an object of logins or a function',
      )
      .optional(),
    proxy: proxy.optional(),
    shortNames: shortNames.optional(),
    allowPrivate: allowPrivate.optional(),
    timeouts: timeouts.optional(),
    retries: retries.optional(),
    limits: limits.optional(),
    warnings: list(text, 'texts').optional(),
  },
  'expected an object',
);

const keysOf = (schema: { shape: object }): string[] => Object.keys(schema.shape);

/** The keys that the object at a path may have. */
export function knownKeys(path: readonly PropertyKey[]): string[] {
  if (path.length === 0) return keysOf(configSchema);
  if (path.length === 2)
    return path[0] === 'registries' ? keysOf(registry) : ['username', 'password', 'identityToken', 'registryToken'];
  const name = typeof path.at(-1) === 'number' ? path.at(-2) : path.at(-1);
  if (name === 'proxy') return keysOf(proxy);
  if (name === 'shortNames') return keysOf(shortNames);
  if (name === 'timeouts') return keysOf(timeouts);
  if (name === 'retries') return keysOf(retries);
  if (name === 'limits') return keysOf(limits);
  if (name === 'tls') return keysOf(tls);
  return keysOf(name === 'rewrites' ? rewrite : host);
}
