import { z } from 'zod';
import type { CredentialProvider, Login } from '../login.ts';
import { credentialKeyFault, registryKeyFault, urlFault } from './host.ts';
import { patternFault } from './rewrite.ts';

const text = z.string('expected a text');
const flag = z.boolean('expected true or false');
const list = <Item extends z.ZodType>(item: Item, of: string) => z.array(item, `expected a list of ${of}`);

/** A text in which `fault` finds nothing wrong. */
const checked = (fault: (value: string) => string | undefined) =>
  text.check((context) => {
    const message = fault(context.value);
    if (message !== undefined) context.issues.push({ code: 'custom', input: context.value, message });
  });

const url = checked((value) => urlFault(value));
// A proxy's login has no other place.
const proxyUrl = checked((value) => urlFault(value, { login: true }));

const rewrite = z.strictObject(
  {
    pattern: checked((pattern) => {
      const fault = patternFault(pattern);
      return fault === undefined ? undefined : `expected an RE2 pattern: ${fault}`;
    }),
    replacement: text,
  },
  'expected an object',
);

const tls = z.strictObject(
  {
    ca: list(text, 'certificates').optional(),
    cert: text.optional(),
    key: text.optional(),
    insecureSkipVerify: flag.optional(),
  },
  'expected an object',
);

const headerName = text.regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'expected a header name');
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
const headerValue = text.regex(/^[^\u0000-\u0008\u000a-\u001f\u007f\u0100-\uffff]*$/, 'expected a header value');

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
    headers: z.record(headerName, headerValue, 'expected an object of headers').optional(),
    tls: tls.optional(),
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

const registry = z.strictObject(
  {
    mirrors: list(host, 'mirrors').optional(),
    origin: z.union([z.literal('never'), host], 'expected "never" or an object with a url').optional(),
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
    http: proxyUrl.optional(),
    https: proxyUrl.optional(),
    all: proxyUrl.optional(),
    no: list(text.min(1, 'expected a host'), 'hosts').optional(),
  },
  'expected an object',
);

const shortNames = z.strictObject(
  {
    aliases: z.record(text, text, 'expected an object of names').optional(),
    search: list(checked(registryKeyFault), 'registries').optional(),
  },
  'expected an object',
);

export const configSchema = z.strictObject(
  {
    registries: z.record(checked(registryKeyFault), registry, 'expected an object of registries').optional(),
    credentials: z
      .union([provider, z.record(checked(credentialKeyFault), login)], 'expected an object of logins or a function')
      .optional(),
    proxy: proxy.optional(),
    shortNames: shortNames.optional(),
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
  if (name === 'tls') return keysOf(tls);
  return keysOf(name === 'rewrites' ? rewrite : host);
}
