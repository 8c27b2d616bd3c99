import { discard } from '../body.ts';
import { RegistryError } from '../errors.ts';
import type { CredentialProvider, Login } from '../login.ts';
import { type Answered, createFirsts } from './first-answer.ts';
import { loginOf } from './login-of.ts';
import { createPlaces, type Known } from './places.ts';

import { basic, createTokens, headersOf, type Token, type TokensOptions } from './tokens.ts';
import type { HttpRequest, HttpResponse, Wrapper } from './transport.ts';
import { type WantedOptions, wantedBy } from './wanted.ts';

export interface AuthorizeOptions extends TokensOptions, WantedOptions {
  readonly loginFor?: CredentialProvider | undefined;
}

interface Proof {
  readonly authorization: string;
  /** The token that was fetched, which a 401 makes stale. */
  readonly token?: Token | undefined;
}

type Prove = (known: Known, stale?: Token) => Promise<Proof | undefined>;

/**
 * Proves to each place who asks: configured headers, and whatever its challenge wants. The first request is anonymous;
 * later ones carry what the place is known to want. A 401 to a token that was sent forces one renewal; a password is
 * sent once. Of those who ask an endpoint for the first time one goes ahead. Credentials and headers go to the origin of
 * the request's endpoint only; a stranger's challenge is answered without any.
 */
export const authorize = (options: AuthorizeOptions = {}): Wrapper => {
  const places = createPlaces();
  const first = createFirsts();
  return (next) => {
    const tokens = createTokens(next, options);
    const converse = async (request: HttpRequest, answered: Answered): Promise<HttpResponse> => {
      const login = once(() => loginOf(request, options.loginFor));
      const prove: Prove = async (known, stale) => {
        if (known.scheme === 'none') return undefined;
        if (known.scheme === 'login') return proofOf(await login());
        const token = await tokens(known, await login(), request, stale);
        return { authorization: `Bearer ${token.value}`, token };
      };
      const guess = await guessed(places.of(request), prove);
      let { proof } = guess;
      let response = await next(withProof(request, proof));
      if (response.status !== 401) answered();
      if (guess.error && response.status < 400) places.learn(request, { scheme: 'none' });
      else if (guess.error && response.status !== 401) {
        // Some registries say 404 of what they keep from strangers.
        await discard(response.body);
        throw guess.error;
      }
      let tokensSent = 0;
      let isLoginSent = false;
      while (response.status === 401) {
        if (proof?.token) tokensSent += 1;
        else isLoginSent ||= proof !== undefined;
        if (tokensSent > 1) return response;
        const wanted = await wantedBy(request, response, login, options);
        if (!wanted || (wanted.scheme === 'login' && isLoginSent)) return response;
        await discard(response.body);
        if (isRefused(guess, wanted)) throw guess.error;
        places.learn(request, wanted);
        answered();
        proof = await prove(wanted, proof?.token);
        response = await next(withProof(request, proof));
      }
      return response;
    };
    return async (given) => {
      const request = atHome(given);
      // What the user configured to be sent stands.
      if (request.headers?.authorization !== undefined) return next(request);
      const answered = places.of(request) ? () => {} : await first(request);
      try {
        return await converse(request, answered);
      } finally {
        answered(false);
      }
    };
  };
};

/** The request with its endpoint's headers, or as a stranger's, where its URL is not at the endpoint's origin. */
function atHome(request: HttpRequest): HttpRequest {
  const { url, endpoint } = request;
  if (!endpoint) return request;
  if (new URL(endpoint.url).origin !== new URL(url).origin) return { ...request, endpoint: undefined, tls: undefined };
  return { ...request, headers: { ...request.headers, ...headersOf(endpoint) } };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** A login as it is sent without a token being fetched. */
function proofOf(login: Login | undefined): Proof | undefined {
  if (!login || 'identityToken' in login) return undefined;
  return { authorization: 'registryToken' in login ? `Bearer ${login.registryToken}` : basic(login) };
}

const withProof = (request: HttpRequest, proof: Proof | undefined): HttpRequest =>
  proof ? { ...request, headers: { ...request.headers, authorization: proof.authorization } } : request;

/** What is sent unasked, from memory; `error` where no token was given for it, which the place itself may not need. */
interface Guess {
  readonly known?: Known | undefined;
  readonly proof?: Proof | undefined;
  readonly error?: RegistryError;
}

async function guessed(known: Known | undefined, prove: Prove): Promise<Guess> {
  try {
    return { known, proof: known && (await prove(known)) };
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code === 'ABORTED') throw error;
    return { known, error };
  }
}

/** Whether a challenge wants what was refused already. A password that the realm does not take is not sent there again. */
function isRefused({ known, error }: Guess, wanted: Known): boolean {
  if (!error || known?.scheme !== 'token' || wanted.scheme !== 'token') return false;
  const what = ({ service, scopes }: typeof known): string => JSON.stringify([service, scopes]);
  return known.realm.href === wanted.realm.href && (error.code === 'UNAUTHORIZED' || what(known) === what(wanted));
}
