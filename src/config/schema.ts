import { z } from 'zod';
import type { CredentialProvider, Login } from '../login.ts';
import { proxyFault, proxyUrl } from '../proxy.ts';
import { credentialKeyFault, registryKeyFault } from './host.ts';
import { checked, flag, host, list, origin, rewrite, text, tls } from './host-schema.ts';

// A proxy's login has no other place.
const proxyText = checked(proxyFault).transform(proxyUrl);

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
