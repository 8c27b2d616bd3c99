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

interface HelperAnswer {
  readonly login: Login | undefined;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

/** By helper and server, for the whole process. */
const answers = new Map<string, HelperAnswer>();
const mostAnswers = 1000;
const once = singleFlight<Login | undefined>();

/**
 * Logins from Docker's credential helpers. A helper runs once for all who want the same login at the same time, and is
 * killed when the last of them has left; its answer is kept for a while, a failure is not. Errors are `askHelper`'s.
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
    const login = helper ? await ask(helper, server, { timeout, lifetime, signal: context.signal }) : undefined;
    return login ?? fallback?.(host, context);
  };
}

interface Asking {
  readonly timeout: number | undefined;
  readonly lifetime: number;
  readonly signal: AbortSignal | undefined;
}

function ask(helper: string, server: string, { timeout, lifetime, signal }: Asking): Promise<Login | undefined> {
  const key = `${helper} ${server}`;
  return once(key, signal, async (stopped) => {
    const known = answers.get(key);
    if (known && known.expires > Date.now()) return known.login;
    // Loaded when it is needed: only Node has it.
    const { askHelper } = await import('./run-helper.ts');
    const login = await askHelper(helper, server, { timeout, signal: stopped });
    answers.set(key, { login, expires: Date.now() + lifetime });
    if (answers.size > mostAnswers) answers.delete(answers.keys().next().value ?? '');
    return login;
  });
}
