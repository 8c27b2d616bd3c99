import { abortError, unlessAborted } from '../deadline.ts';
import { cannot, RegistryError, restate } from '../errors.ts';
import type { CredentialProvider, Login } from '../login.ts';
import { quote } from '../text/quote.ts';
import type { HttpRequest } from './transport.ts';

/**
 * The login for a request, or none for a stranger's. Fails as soon as the request's signal fires, whatever the provider
 * does; `INVALID_CONFIG` where it gives what is no login, `UNAUTHORIZED` where it fails in its own words, which may hold
 * a secret and are in `cause` alone.
 */
export async function loginOf(
  { url, endpoint, signal }: HttpRequest,
  loginFor: CredentialProvider | undefined,
): Promise<Login | undefined> {
  if (!endpoint || !loginFor) return undefined;
  const { host } = new URL(url);
  let given: unknown;
  try {
    const asked = (async () => loginFor(host, { repository: endpoint.repository, signal }))();
    given = await unlessAborted(asked, signal);
  } catch (cause) {
    if (signal?.aborted) throw abortError(signal.reason);
    throw failureOf(cause, host, endpoint.repository);
  }
  if (given === undefined || given === null) return undefined;
  const login = readLogin(given);
  if (login) return login;
  const found = 'the provider gave neither username and password, nor identityToken, nor registryToken';
  throw cannot('INVALID_CONFIG', `use the login for "${host}"`, found, { host });
}

/** A helper's failure names the repository, too: one helper serves many. An error that a provider makes itself stays. */
function failureOf(cause: unknown, host: string, repository: string): RegistryError {
  if (!(cause instanceof RegistryError)) {
    const found = 'the provider of credentials failed';
    return cannot('UNAUTHORIZED', `get a login for "${host}"`, found, { host, cause });
  }
  const { helper } = cause;
  if (!helper) return cause;
  const attempted = `get a login for "${host}" to read "${repository}"`;
  const found = `none from credential helper ${quote(helper.program)}: ${helper.found}`;
  return restate(cause, { attempted, found, host, cause });
}

/** Exactly one kind of login, without what is beside it. */
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
