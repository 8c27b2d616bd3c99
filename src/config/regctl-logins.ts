import type { CredentialHelpers, Login } from '../login.ts';
import { quote } from '../oci/quote.ts';
import { normalizeKey } from './host.ts';
import type { Reading } from './reading.ts';
import { type NamedHost, type RegctlHost, regctlName } from './regctl-hosts.ts';

interface Logins {
  readonly credentials: Readonly<Record<string, Login>> | undefined;
  readonly credHelpers: CredentialHelpers['credHelpers'];
}

/** Logins and helpers by the host that is asked; a login below its path prefix, where it has one. */
export function readLogins(
  hosts: readonly RegctlHost[],
  byName: ReadonlyMap<string, NamedHost>,
  reading: Reading,
): Logins {
  const logins = new Map<string, Login>();
  const credHelpers = new Map<string, string>();
  for (const entry of hosts) {
    const { hostname = '', pathPrefix = '' } = byName.get(regctlName(entry.key)) ?? {};
    const key = normalizeKey(pathPrefix === '' ? hostname : `${hostname}/${pathPrefix}`);
    const login = loginOf(entry, reading);
    if (login && logins.has(key)) reading.warn(entry, `its login is not used, ${quote(key)} has one above`);
    else if (login) logins.set(key, login);
    const helper = helperOf(entry.value, reading);
    if (helper !== undefined) credHelpers.set(normalizeKey(hostname), helper);
  }
  return {
    credentials: logins.size > 0 ? Object.fromEntries(logins) : undefined,
    credHelpers: credHelpers.size > 0 ? Object.fromEntries(credHelpers) : undefined,
  };
}

function loginOf(entry: RegctlHost, reading: Reading): Login | undefined {
  const { user, pass, token } = entry.value;
  if (token?.value) return { identityToken: token.value };
  if (user?.value && pass?.value) return { username: user.value, password: pass.value };
  if (user?.value || pass?.value) reading.warn(entry, 'its login is not used, user and pass are used together only');
  return undefined;
}

/** The helper's name without `docker-credential-`. */
export function helperOf({ credHelper }: RegctlHost['value'], reading: Reading): string | undefined {
  if (!credHelper?.value) return undefined;
  const [, name] = /^docker-credential-([A-Za-z0-9._-]+)$/.exec(credHelper.value) ?? [];
  if (name === undefined) reading.warn(credHelper, 'not used, only programs named docker-credential-* on PATH are run');
  return name;
}
