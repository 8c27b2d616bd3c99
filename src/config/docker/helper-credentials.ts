import { singleFlight } from '../../abort.ts';
import type { CredentialHelpers, CredentialProvider, Login } from '../../login.ts';
import { normalizeRegistry, sameRegistry } from '../../oci/registry.ts';
import { hubServer } from './login-keys.ts';

export interface HelperOptions extends CredentialHelpers {
  /** Used if no helper has a login. */
  readonly fallback?: CredentialProvider | undefined;
  /** Milliseconds that a helper may take; 30 s. */
  readonly timeout?: number | undefined;
  /** Milliseconds that an answer is kept; 5 minutes. */
  readonly lifetime?: number | undefined;
}

interface KeptLogin {
  readonly login: Login | undefined;
  /** Milliseconds since 1970. */
  readonly expires: number;
  /** The helper gave it once more after a host had refused it: it is not called again for that. */
  readonly isConfirmed: boolean;
}

/** By helper and server, for the whole process. */
const logins = new Map<string, KeptLogin>();
const mostLogins = 1000;
const once = singleFlight<Login | undefined>();

/**
 * Logins from Docker's credential helpers. A helper runs once for all who want the same login at the same time, and is
 * killed when the last of them has left; its login is kept for a while, a failure is not. It runs once more if a host
 * refuses a login that was kept. Errors are `runHelper`'s.
 * A helper is asked for hosts, whatever the repository; Docker Hub is `https://index.docker.io/v1/` to it.
 */
export function helperCredentials({
  credsStore,
  credHelpers = {},
  fallback,
  timeout,
  lifetime = 300_000,
}: HelperOptions): CredentialProvider {
  return async (host, context) => {
    const own = Object.keys(credHelpers).find((key) => sameRegistry(key, host));
    const helper = own === undefined ? credsStore : credHelpers[own];
    const server = normalizeRegistry(host) === 'docker.io' ? hubServer : (own ?? host);
    const login = helper ? await loginFrom(helper, server, { timeout, lifetime, ...context }) : undefined;
    return login ?? fallback?.(host, context);
  };
}

interface HelperRequest {
  readonly timeout: number | undefined;
  readonly lifetime: number;
  readonly signal?: AbortSignal | undefined;
  readonly refused?: Login | undefined;
}

function loginFrom(
  helper: string,
  server: string,
  { timeout, lifetime, signal, refused }: HelperRequest,
): Promise<Login | undefined> {
  const key = `${helper} ${server}`;
  return once(key, signal, async (stopped) => {
    const known = logins.get(key);
    const isRefused = refused !== undefined && JSON.stringify(known?.login) === JSON.stringify(refused);
    if (known && known.expires > Date.now() && (!isRefused || known.isConfirmed)) return known.login;
    // Loaded when it is needed: only Node has it.
    const { runHelper } = await import('./run-helper.ts');
    const login = await runHelper(helper, server, { timeout, signal: stopped });
    const isConfirmed = isRefused && JSON.stringify(login) === JSON.stringify(refused);
    logins.set(key, { login, expires: Date.now() + lifetime, isConfirmed });
    if (logins.size > mostLogins) logins.delete(logins.keys().next().value ?? '');
    return login;
  });
}
