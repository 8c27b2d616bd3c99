import { remember } from './bounded-map.ts';
import type { TokenScope } from './tokens.ts';
import type { HttpRequest } from './transport.ts';

/**
 * What a place wants of who asks: nothing, the login as it is (a password as Basic, a registryToken), or a token that is
 * fetched.
 */
export type Known =
  | { readonly scheme: 'none' }
  | { readonly scheme: 'login' }
  | ({ readonly scheme: 'token' } & TokenScope);

/** What the client knows of its places, so that a request proves itself at once. */
export interface Places {
  /** What the place is known to want, or is likely to. */
  of(request: HttpRequest): Known | undefined;
  learn(request: HttpRequest, known: Known): void;
}

/** A mirror may want other realms and scopes for other repositories, so each is a place of its own. */
export function createPlaces(): Places {
  const places = new Map<string, Known>();
  return {
    of: ({ endpoint }) => {
      if (!endpoint) return undefined;
      const known = places.get(`${endpoint.url} ${endpoint.repository}`);
      if (known) return known;
      // Not asked for yet: what its endpoint wanted for another repository, over its own scopes.
      const likely = places.get(endpoint.url);
      return likely?.scheme === 'token' ? { ...likely, scopes: endpoint.scopes } : likely;
    },
    learn: ({ endpoint }, known) => {
      if (!endpoint) return;
      remember(places, `${endpoint.url} ${endpoint.repository}`, known);
      if (known.scheme !== 'none') remember(places, endpoint.url, known);
    },
  };
}
