import type { CredentialHelpers, Login } from '../login.ts';
import { quote } from '../oci/quote.ts';
import { anything, type Decoded, type Named, secret } from './decoders.ts';
import { decodeAuth, hubServer, isDockersOwn, parseLoginKey } from './login-keys.ts';
import type { Reading } from './reading.ts';

/** An entry of `auths`. */
export const dockerAuth = {
  auth: secret,
  username: secret,
  password: secret,
  identitytoken: secret,
  registrytoken: secret,
  // Written by old versions, and never used for logging in.
  email: anything,
  serveraddress: anything,
};

type Auth = Named<Decoded<typeof dockerAuth>>;

/** The login of each key; of several keys that mean one host, that which Docker itself would ask for. */
export function readLogins(
  auths: readonly Auth[],
  helpers: CredentialHelpers,
  reading: Reading,
): Record<string, Login> | undefined {
  const rank = ({ key }: Auth): number => (key === hubServer ? 0 : key.includes('://') ? 2 : 1);
  const logins = new Map<string, Login>();
  for (const entry of [...auths].sort((a, b) => rank(a) - rank(b))) {
    const parsed = parseLoginKey(entry.key);
    const login = loginOf(entry, helpers, reading);
    if ('fault' in parsed) reading.problem(entry, `found ${quote(entry.key)}, ${parsed.fault}`);
    else if (isDockersOwn(entry.key)) reading.warn(entry, 'not used, a login of Docker for itself');
    else if (login && logins.has(parsed.key)) reading.warn(entry, `not used, ${quote(parsed.key)} has another login`);
    else if (login) logins.set(parsed.key, login);
  }
  return logins.size > 0 ? Object.fromEntries(logins) : undefined;
}

function loginOf(entry: Auth, helpers: CredentialHelpers, reading: Reading): Login | undefined {
  const { auth: pair, username, password, identitytoken, registrytoken } = entry.value;
  if (identitytoken?.value) return { identityToken: identitytoken.value };
  if (registrytoken?.value) return { registryToken: registrytoken.value };
  if (pair?.value) {
    const login = decodeAuth(pair.value);
    if (!login) reading.problem(pair, 'found a text that is not shown, expected user:password in base64');
    return login;
  }
  if (username?.value && password?.value) return { username: username.value, password: password.value };
  // What Docker and Podman leave behind where a helper keeps the login.
  const isMarker = Object.keys(entry.value).length === 0 && (helpers.credsStore ?? helpers.credHelpers) !== undefined;
  if (!isMarker) reading.warn(entry, 'not used, it holds no login');
  return undefined;
}
