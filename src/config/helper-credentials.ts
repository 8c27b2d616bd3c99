import { RegistryError } from '../errors.ts';
import type { CredentialHelpers, CredentialProvider, Login } from '../login.ts';
import { normalizeRegistry, sameRegistry } from '../oci/registry.ts';
import { hubServer } from './login-keys.ts';

export interface HelperOptions extends CredentialHelpers {
  /** Asked where no helper has a login. */
  readonly fallback?: CredentialProvider | undefined;
  /** Milliseconds that a helper may take; 30 s. */
  readonly timeout?: number | undefined;
  /** Milliseconds that an answer is kept; 5 minutes. */
  readonly lifetime?: number | undefined;
}

interface Answer {
  readonly login: Promise<Login | undefined>;
  readonly controller: AbortController;
  waiting: number;
  /** Milliseconds since 1970; endless while it is awaited. */
  expires: number;
}

/** By helper and server, for the whole process. */
const answers = new Map<string, Answer>();
const mostAnswers = 1000;

/**
 * Logins from Docker's credential helpers. A helper is asked once for all who want the same login at the same time, and
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
  if (signal?.aborted) return Promise.reject(aborted(signal.reason));
  const key = `${helper} ${server}`;
  const known = answers.get(key);
  const answer = known && known.expires > Date.now() ? known : start(key, helper, server, { timeout, lifetime });
  answer.waiting++;
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      answer.waiting--;
      if (answer.waiting === 0) {
        if (answers.get(key) === answer) answers.delete(key);
        answer.controller.abort(aborted(signal?.reason));
      }
      reject(aborted(signal?.reason));
    };
    signal?.addEventListener('abort', leave, { once: true });
    answer.login.then(resolve, reject).finally(() => signal?.removeEventListener('abort', leave));
  });
}

function start(key: string, helper: string, server: string, { timeout, lifetime }: Omit<Asking, 'signal'>): Answer {
  const controller = new AbortController();
  const run = async (): Promise<Login | undefined> => {
    // Loaded when it is needed: it is Node's alone.
    const { askHelper } = await import('./credential-helper.ts');
    return askHelper(helper, server, { timeout, signal: controller.signal });
  };
  const answer: Answer = { login: run(), controller, waiting: 0, expires: Number.POSITIVE_INFINITY };
  const forget = (): void => {
    if (answers.get(key) === answer) answers.delete(key);
  };
  answer.login.then(() => {
    answer.expires = Date.now() + lifetime;
  }, forget);
  answers.set(key, answer);
  if (answers.size > mostAnswers) answers.delete(answers.keys().next().value ?? '');
  return answer;
}

function aborted(reason: unknown): RegistryError {
  if (reason instanceof RegistryError) return reason;
  const found = reason instanceof Error ? reason.message : String(reason);
  return new RegistryError('ABORTED', `The operation was aborted: ${found}`, { cause: reason });
}
