import { abortError, unlessAborted } from '../abort.ts';
import { discard } from '../body.ts';
import { remember } from '../bounded-map.ts';
import { cannot, isError, messageOf, RegistryError, restate } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { CredentialProvider, Login } from '../login.ts';
import { unionScopes } from '../oci/scope.ts';
import { keepLogin, plainWords } from '../redaction.ts';
import { quote } from '../text/quote.ts';
import { parseChallenges } from './header-fields.ts';
import { basic, createTokens, headersOf, realmOf, type Token, type TokenScope, type TokensOptions } from './tokens.ts';
import type { HttpRequest, HttpResponse, Wrapper } from './transport.ts';
import { authoritiesOf } from './trust.ts';

export interface AuthorizeOptions extends TokensOptions {
  readonly loginFor?: CredentialProvider | undefined;
  readonly emit?: Emit | undefined;
}

/** What a host requires: nothing, the login as it is (a password as Basic, a registryToken), or a token that is fetched. */
type Requirement =
  | { readonly scheme: 'none' }
  | { readonly scheme: 'login' }
  | ({ readonly scheme: 'token' } & TokenScope);

interface Proof {
  readonly authorization: string;
  /** The token that was fetched, which a 401 makes stale. */
  readonly token?: Token | undefined;
}

type Prove = (requirement: Requirement, stale?: Token) => Promise<Proof | undefined>;

/**
 * Authorizes requests: with configured headers, and with what a host's challenge requires. The first request is
 * anonymous; later ones carry what the host is known to require. A 401 to a token forces one renewal; a password is sent
 * once. If several requests to an endpoint are the first, one goes ahead and the others wait for it. Credentials and headers go to the origin of the request's
 * endpoint only; another origin that challenges gets an anonymous token.
 */
export const authorize = (options: AuthorizeOptions = {}): Wrapper => {
  const requirements = createRequirements();
  const first = createFirsts();
  return (next) => {
    const tokens = createTokens(next, options);
    const converse = async (request: HttpRequest, responded: Responded): Promise<HttpResponse> => {
      const login = once(() => loginOf(request, options.loginFor));
      const prove: Prove = async (requirement, stale) => {
        if (requirement.scheme === 'none') return undefined;
        if (requirement.scheme === 'login') return loginProof(await login());
        const token = await tokens(requirement, await login(), request, stale);
        return { authorization: `Bearer ${token.value}`, token };
      };
      const remembered = await prepare(requirements.of(request), prove);
      let { proof } = remembered;
      let response = await next(withProof(request, proof));
      if (response.status !== 401) responded();
      if (remembered.error && response.status < 400) requirements.learn(request, { scheme: 'none' });
      else if (remembered.error && response.status !== 401) {
        // Some registries respond with 404 to an anonymous request for what they hide.
        await discard(response.body);
        throw remembered.error;
      }
      let tokensSent = 0;
      let isLoginSent = false;
      while (response.status === 401) {
        if (proof?.token) tokensSent += 1;
        else isLoginSent ||= proof !== undefined;
        if (tokensSent > 1) return response;
        const required = await readChallenge(request, response, login, options);
        if (!required || (required.scheme === 'login' && isLoginSent)) return response;
        await discard(response.body);
        if (isRefused(remembered, required)) throw remembered.error;
        requirements.learn(request, required);
        responded();
        proof = await prove(required, proof?.token);
        response = await next(withProof(request, proof));
      }
      return response;
    };
    return async (given) => {
      const request = withEndpointHeaders(given);
      // An Authorization that the user configured is sent as it is.
      if (request.headers?.authorization !== undefined) return next(request);
      const responded = requirements.of(request) ? () => {} : await first(request);
      try {
        return await converse(request, responded);
      } finally {
        responded(false);
      }
    };
  };
};

/** The request with its endpoint's headers; without endpoint, and with its authorities only, if its URL is at another origin. */
function withEndpointHeaders(request: HttpRequest): HttpRequest {
  const { url, endpoint } = request;
  if (!endpoint) return request;
  if (new URL(endpoint.url).origin !== new URL(url).origin)
    return { ...request, endpoint: undefined, tls: authoritiesOf(request.tls) };
  return { ...request, headers: { ...request.headers, ...headersOf(endpoint) } };
}

const withProof = (request: HttpRequest, proof: Proof | undefined): HttpRequest =>
  proof ? { ...request, headers: { ...request.headers, authorization: proof.authorization } } : request;

/** A login as it is sent if no token is fetched. */
function loginProof(login: Login | undefined): Proof | undefined {
  if (!login || 'identityToken' in login) return undefined;
  return { authorization: 'registryToken' in login ? `Bearer ${login.registryToken}` : basic(login) };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Called without argument when the first response has come: the other requests may go. Called with `false` at the end of the request: without an earlier call it has failed, and another one goes ahead. */
type Responded = (isResponse?: boolean) => void;

/**
 * Lets the first request to an endpoint go ahead, so that a hundred at once do not meet a hundred challenges: the others
 * wait for its response. If it fails they continue all together, and the next new one is the first again. A wait ends
 * with `ABORTED` when its signal fires.
 */
export function createFirsts(): (request: HttpRequest) => Promise<Responded> {
  const responses = new Map<string, Promise<void>>();
  return async ({ endpoint, signal }) => {
    if (!endpoint) return () => {};
    const pending = responses.get(endpoint.url);
    if (pending) {
      await unlessAborted(pending, signal);
      return () => {};
    }
    let release = (): void => {};
    let isOver = false;
    const response = new Promise<void>((resolve) => {
      release = resolve;
    });
    void remember(responses, endpoint.url, response);
    return (isResponse = true) => {
      if (!isOver && !isResponse) responses.delete(endpoint.url);
      isOver = true;
      release();
    };
  };
}

/** What hosts are known to require, so that later requests carry it at once. */
function createRequirements() {
  // By endpoint and repository, as a mirror may name other realms and scopes for other repositories; and by endpoint.
  const known = new Map<string, Requirement>();
  return {
    of: ({ endpoint }: HttpRequest): Requirement | undefined => {
      if (!endpoint) return undefined;
      const own = known.get(`${endpoint.url} ${endpoint.repository}`);
      if (own) return own;
      // A new repository: probably what its endpoint required for another one, with its own scopes.
      const likely = known.get(endpoint.url);
      return likely?.scheme === 'token' ? { ...likely, scopes: endpoint.scopes } : likely;
    },
    learn: ({ endpoint }: HttpRequest, requirement: Requirement): void => {
      if (!endpoint) return;
      remember(known, `${endpoint.url} ${endpoint.repository}`, requirement);
      if (requirement.scheme !== 'none') remember(known, endpoint.url, requirement);
    },
  };
}

/** What the first request carries from memory; `error` if the token could not be fetched: the request is sent without it, as the host may not require one. */
interface Prepared {
  readonly requirement?: Requirement | undefined;
  readonly proof?: Proof | undefined;
  readonly error?: RegistryError;
}

async function prepare(requirement: Requirement | undefined, prove: Prove): Promise<Prepared> {
  try {
    return { requirement, proof: requirement && (await prove(requirement)) };
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code === 'ABORTED') throw error;
    return { requirement, error };
  }
}

/** Whether a challenge requires what was refused already. A password that a realm refused is not sent there again. */
function isRefused({ requirement, error }: Prepared, required: Requirement): boolean {
  if (!error || requirement?.scheme !== 'token' || required.scheme !== 'token') return false;
  const scopeOf = ({ service, scopes }: TokenScope): string => JSON.stringify([service, scopes]);
  const isSameScope = scopeOf(requirement) === scopeOf(required);
  return requirement.realm.href === required.realm.href && (error.code === 'UNAUTHORIZED' || isSameScope);
}

/** What a 401's challenge requires, Bearer before Basic; undefined if it cannot be met. If this throws, the response's body is discarded. */
async function readChallenge(
  request: HttpRequest,
  response: HttpResponse,
  login: () => Promise<Login | undefined>,
  { emit = () => {} }: AuthorizeOptions,
): Promise<Requirement | undefined> {
  try {
    const given = await login();
    const { challenges, malformed } = parseChallenges(response.headers['www-authenticate'] ?? '');
    const { host } = new URL(request.url);
    if (malformed !== undefined)
      emit({ type: 'warning', host, text: 'part of its WWW-Authenticate field is malformed' });
    const offers = (name: string): boolean => challenges.some(({ scheme }) => scheme === name);
    if (given && 'registryToken' in given) return offers('bearer') || offers('basic') ? { scheme: 'login' } : undefined;
    const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.realm);
    if (bearer?.parameters.realm === undefined) {
      return offers('basic') && given && 'password' in given ? { scheme: 'login' } : undefined;
    }
    const { realm, service, scope = '' } = bearer.parameters;
    const scopes = unionScopes(request.endpoint?.scopes ?? [], scope);
    return { scheme: 'token', ...realmOf(realm, request, response), service, scopes };
  } catch (error) {
    await discard(response.body);
    throw error;
  }
}

/**
 * The login for a request, none for another origin's. Fails as soon as the request's signal fires, whatever the provider
 * does; `INVALID_CONFIG` if it returns something else than a login, `UNAUTHORIZED` if it throws anything but a
 * `RegistryError`: that may contain a secret and is only in `cause`.
 */
export async function loginOf(
  { url, endpoint, signal }: HttpRequest,
  loginFor: CredentialProvider | undefined,
): Promise<Login | undefined> {
  if (!endpoint || !loginFor) return undefined;
  const { host } = new URL(url);
  let given: unknown;
  try {
    const provided = (async () => loginFor(host, { repository: endpoint.repository, signal }))();
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
