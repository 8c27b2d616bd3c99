import { unlessAborted } from '../abort.ts';
import { discard } from '../body.ts';
import { remember } from '../bounded-map.ts';
import { RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { CredentialProvider, Login } from '../login.ts';
import { unionScopes } from '../oci/scope.ts';
import { parseChallenges } from './header-fields.ts';
import { createLogins, type Logins } from './logins.ts';
import { authoritiesOf } from './tls.ts';
import {
  basic,
  createTokens,
  headersOf,
  realmOf,
  type Token,
  type TokenScope,
  type Tokens,
  type TokensOptions,
} from './tokens.ts';
import type { HttpRequest, HttpResponse, Transport, Wrapper } from './transport.ts';

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

/** Statuses with which hosts refuse a login or a token, or hide what they have from whoever has none. */
const refusing = new Set([400, 401, 403, 404]);

/**
 * Authorizes requests: with configured headers, and with what a host's challenge requires. The first request is
 * anonymous; later ones carry what the host is known to require. A password is sent once; if it is refused, its provider is
 * called once more. If several requests to an endpoint are the first, one goes ahead and the others wait for it. Credentials and
 * headers go to the origin of the request's endpoint only; another origin that challenges gets an anonymous token.
 *
 * A token that is refused (401, also 400 and 403 if it is one of an earlier request) is renewed once. If a host refuses or
 * does not find (401, 403, 404) what was requested anonymously, without a challenge, and there may be a login for it, its
 * `/v2/` says whether it requires one.
 */
export const authorize = (options: AuthorizeOptions = {}): Wrapper => {
  const requirements = createRequirements();
  const first = createFirsts();
  // Tokens that were fetched in place of refused ones, and refused as well: another would be, too.
  const vain = new WeakSet<Token>();
  return (next) => {
    const tokens = createTokens(next, options);
    const converse = async (request: HttpRequest, responded: Responded): Promise<HttpResponse> => {
      const logins = createLogins(request, options.loginFor);
      const prove = proverOf(tokens, request, logins);
      const remembered = await prepare(requirements.of(request), prove);
      let { requirement, proof } = remembered;
      let response = await next(withProof(request, proof));
      if (!refusing.has(response.status)) responded();
      if (remembered.error && response.status < 400) requirements.learn(request, { scheme: 'none' });
      else if (remembered.error && response.status !== 401) {
        // Some registries respond with 404 to an anonymous request for what they hide.
        await discard(response.body);
        throw remembered.error;
      }
      let tokensSent = 0;
      let isLoginSent = false;
      const nextRequirement = async (): Promise<Requirement | undefined> => {
        if (proof?.token) tokensSent += 1;
        else isLoginSent ||= proof !== undefined;
        const { status } = response;
        const challenge = status === 401 ? await readChallenge(request, response, logins, options) : undefined;
        if (challenge && tokensSent < 2 && !(challenge.scheme === 'login' && isLoginSent)) return challenge;
        if (!requirement && status !== 400) return challengeOfRoot(next, request, { logins, options, requirements });
        const isKept = proof?.token !== undefined && proof === remembered.proof && !vain.has(proof.token);
        if (isKept && status !== 404) return requirement;
        if (!proof || (status !== 401 && status !== 403) || !(await logins.renew())) return undefined;
        tokensSent = 0;
        return challenge ?? requirement;
      };
      while (refusing.has(response.status)) {
        const required = await discarding(response, nextRequirement);
        if (!required) break;
        await discard(response.body);
        if (isRefused(remembered, required)) throw remembered.error;
        requirements.learn(request, required);
        responded();
        requirement = required;
        proof = await prove(required, proof?.token);
        response = await next(withProof(request, proof));
      }
      responded();
      if (!refusing.has(response.status)) return response;
      if (proof?.token && proof !== remembered.proof) vain.add(proof.token);
      if (!request.endpoint) return response;
      return { ...response, login: proof && (await logins.get()) ? 'login-refused' : 'no-login' };
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

type Prove = (requirement: Requirement, stale?: Token) => Promise<Proof | undefined>;

function proverOf(tokens: Tokens, request: HttpRequest, logins: Logins): Prove {
  const prove: Prove = async (requirement, stale) => {
    if (requirement.scheme === 'none') return undefined;
    if (requirement.scheme === 'login') return loginProof(await logins.get());
    const token = await tokens(requirement, await logins.get(), request, stale);
    return { authorization: `Bearer ${token.value}`, token };
  };
  return async (requirement, stale) => {
    try {
      return await prove(requirement, stale);
    } catch (error) {
      const isRefusal = error instanceof RegistryError && refusing.has(error.status ?? 0);
      if (!isRefusal || !(await logins.renew())) throw error;
      return prove(requirement, stale);
    }
  };
}

/** The result of `work`; if it throws, the body of the response is discarded. */
async function discarding<T>(response: HttpResponse, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await discard(response.body);
    throw error;
  }
}

interface Conversation {
  readonly logins: Logins;
  readonly options: AuthorizeOptions;
  readonly requirements: ReturnType<typeof createRequirements>;
}

/**
 * What `GET /v2/` requires, if the request may have a login: private repositories of some registries respond with 403 or 404
 * to anonymous requests. Sent once for a repository that turns out to require nothing.
 */
async function challengeOfRoot(
  next: Transport,
  request: HttpRequest,
  { logins, options, requirements }: Conversation,
): Promise<Requirement | undefined> {
  const { endpoint, headers } = request;
  if (!endpoint || !(endpoint.credentials ?? (await logins.get()))) return undefined;
  const agent = headers?.['user-agent'];
  const own = { ...(agent !== undefined && { 'user-agent': agent }), ...headersOf(endpoint) };
  const root = { ...request, method: 'GET', url: `${endpoint.url}/`, headers: own, body: undefined };
  let response: HttpResponse;
  try {
    response = await next(root);
  } catch (error) {
    if (request.signal?.aborted) throw error;
    return undefined;
  }
  await discard(response.body);
  const required = response.status === 401 ? await readChallenge(root, response, logins, options) : undefined;
  if (!required) requirements.learn(request, { scheme: 'none' });
  return required;
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

/** What a 401's challenge requires, Bearer before Basic; undefined if it cannot be met. */
async function readChallenge(
  request: HttpRequest,
  response: HttpResponse,
  logins: Pick<Logins, 'get'>,
  { emit = () => {} }: AuthorizeOptions,
): Promise<Requirement | undefined> {
  const given = await logins.get();
  const { challenges, malformed } = parseChallenges(response.headers['www-authenticate'] ?? '');
  const { host } = new URL(request.url);
  if (malformed !== undefined) emit({ type: 'warning', host, text: 'part of its WWW-Authenticate field is malformed' });
  const offers = (name: string): boolean => challenges.some(({ scheme }) => scheme === name);
  if (given && 'registryToken' in given) return offers('bearer') || offers('basic') ? { scheme: 'login' } : undefined;
  const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.realm);
  if (bearer?.parameters.realm === undefined) {
    return offers('basic') && given && 'password' in given ? { scheme: 'login' } : undefined;
  }
  const { realm, service, scope = '' } = bearer.parameters;
  const scopes = unionScopes(request.endpoint?.scopes ?? [], scope);
  return { scheme: 'token', ...realmOf(realm, request, response), service, scopes };
}
