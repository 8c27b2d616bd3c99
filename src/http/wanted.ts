import { discard } from '../body.ts';
import type { Emit } from '../events.ts';
import type { Login } from '../login.ts';
import { unionScopes } from '../oci/scope.ts';
import type { AllowedHosts } from './address.ts';
import { parseChallenges } from './header-fields.ts';
import type { Known } from './places.ts';
import { realmOf } from './tokens.ts';
import type { HttpRequest, HttpResponse } from './transport.ts';

export interface WantedOptions {
  readonly allowPrivate?: AllowedHosts | undefined;
  readonly emit?: Emit | undefined;
}

/** What an answer's challenge wants of us, if it is something that can be done. Where it fails, the answer is let go of. */
export async function wantedBy(
  request: HttpRequest,
  response: HttpResponse,
  login: () => Promise<Login | undefined>,
  options: WantedOptions,
): Promise<Known | undefined> {
  try {
    return challengeOf(request, response, await login(), options);
  } catch (error) {
    await discard(response.body);
    throw error;
  }
}

/** Bearer before Basic. */
function challengeOf(
  request: HttpRequest,
  response: HttpResponse,
  login: Login | undefined,
  { emit = () => {}, allowPrivate = [] }: WantedOptions,
): Known | undefined {
  const { challenges, malformed } = parseChallenges(response.headers['www-authenticate'] ?? '');
  const { host } = new URL(request.url);
  if (malformed !== undefined) emit({ type: 'warning', host, text: 'part of its WWW-Authenticate field is malformed' });
  const offers = (name: string): boolean => challenges.some(({ scheme }) => scheme === name);
  if (login && 'registryToken' in login) return offers('bearer') || offers('basic') ? { scheme: 'login' } : undefined;
  const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.realm);
  if (bearer?.parameters.realm === undefined) {
    return offers('basic') && login && 'password' in login ? { scheme: 'login' } : undefined;
  }
  const { realm: text, service, scope = '' } = bearer.parameters;
  const scopes = unionScopes(request.endpoint?.scopes ?? [], scope);
  return { scheme: 'token', ...realmOf(text, request, response, allowPrivate), service, scopes };
}
