import { abortError, unlessAborted } from '../abort.ts';
import { cannot, isError, messageOf, RegistryError, restate } from '../errors.ts';
import type { CredentialProvider, Login } from '../login.ts';
import { keepLogin, plainWords } from '../redaction.ts';
import { quote } from '../text/quote.ts';
import type { HttpRequest } from './transport.ts';

/** The login for a request, looked up when it is needed. */
export interface Logins {
  readonly get: () => Promise<Login | undefined>;
  /** Gives another login in place of the one that was refused, once; false if there is none. */
  readonly renew: () => Promise<boolean>;
}

export function createLogins(request: HttpRequest, loginFor: CredentialProvider | undefined): Logins {
  let current: Promise<Login | undefined> | undefined;
  let isRenewed = false;
  const get = (): Promise<Login | undefined> => {
    current ??= loginOf(request, loginFor);
    return current;
  };
  const renew = async (): Promise<boolean> => {
    const refused = await current;
    if (!refused || isRenewed) return false;
    isRenewed = true;
    const fresh = await loginOf(request, loginFor, refused);
    if (!fresh || JSON.stringify(fresh) === JSON.stringify(refused)) return false;
    current = Promise.resolve(fresh);
    return true;
  };
  return { get, renew };
}

/**
 * The login for a request, none for another origin's. Fails as soon as the request's signal fires, whatever the provider
 * does; `INVALID_CONFIG` if it returns something else than a login, `UNAUTHORIZED` if it throws anything but a
 * `RegistryError`: that may contain a secret and is only in `cause`.
 */
export async function loginOf(
  { url, endpoint, signal }: HttpRequest,
  loginFor: CredentialProvider | undefined,
  refused?: Login,
): Promise<Login | undefined> {
  if (!endpoint || !loginFor) return undefined;
  const { host } = new URL(url);
  let given: unknown;
  try {
    const provided = (async () =>
      loginFor(host, { repository: endpoint.repository, signal, ...(refused && { refused }) }))();
    given = await unlessAborted(provided, signal);
  } catch (cause) {
    if (signal?.aborted) throw abortError(signal.reason);
    throw failureOf(cause, host, endpoint.repository);
  }
  if (given === undefined || given === null) return undefined;
  const login = readLogin(given);
  if (login) keepLogin(login);
  if (login) return login;
  const found = 'the provider gave neither username and password, nor identityToken, nor registryToken';
  throw cannot('INVALID_CONFIG', `use the login for "${host}"`, found, { host });
}

/** A helper's failure is named by the repository, too: one helper is asked for many. Other errors of a provider that are RegistryErrors are passed on unchanged. */
function failureOf(cause: unknown, host: string, repository: string): RegistryError {
  if (!(cause instanceof RegistryError)) {
    const found = 'the provider of credentials failed';
    return cannot('UNAUTHORIZED', `get a login for "${host}"`, found, { host, cause: plainCause(cause) });
  }
  const { helper } = cause;
  if (!helper) return cause;
  const attempted = `get a login for "${host}" to read "${repository}"`;
  const found = `none from credential helper ${quote(helper.program)}: ${helper.found}`;
  return restate(cause, { attempted, found, host, cause });
}

/** What a provider throws may name a login that it alone knows: of that only the plain words are kept. */
function plainCause(thrown: unknown): unknown {
  const text = messageOf(thrown);
  const words = plainWords(text);
  const { name = 'Error', cause } = isError(thrown) ? thrown : {};
  if (words === text && cause === undefined) return thrown;
  return Object.assign(new Error(words), { name });
}

/** Exactly one kind of login, without other properties. */
function readLogin(given: object): Login | undefined {
  const { username, password, identityToken, registryToken } = given as Record<string, unknown>;
  const kinds: (Login | undefined)[] = [
    typeof username === 'string' && typeof password === 'string' ? { username, password } : undefined,
    typeof identityToken === 'string' ? { identityToken } : undefined,
    typeof registryToken === 'string' ? { registryToken } : undefined,
  ];
  const [login, second] = kinds.filter((kind) => kind !== undefined);
  return second ? undefined : login;
}
