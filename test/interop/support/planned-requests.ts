import type { Endpoint, Plan } from 'ocifetch';
import type { Asked } from './recording-hosts.ts';

/** A request as a plan tells it beforehand, and as a host saw it. */
export interface PlannedRequest {
  readonly method: string;
  /** With the repository as it was rewritten, and `ns`. */
  readonly url: string;
  /** `host:port` that was connected to: the proxy's, where there is one. */
  readonly at: string;
  readonly scope: string;
  /** The key of the login that was used, or the program that gave it. */
  readonly login: string | undefined;
  /** Names of headers that are sent beside a client's own. */
  readonly headers: readonly string[];
}

/** What an endpoint is asked: a piece of its repository, by this method. */
export type Question = readonly [method: string, piece: string];

/**
 * The requests for what a reference names, where no host has it. A tag is asked of those that resolve; a digest of those
 * that have content, of each as a manifest and, as it may be a blob's, at once as that.
 */
export function toResolve({ reference, endpoints }: Plan): PlannedRequest[] {
  const { tag = 'latest', digest } = reference;
  if (digest === undefined) return ofEach(endpoints, 'resolve', [['HEAD', `manifests/${tag}`]]);
  return ofEach(endpoints, 'pull', [
    ['HEAD', `manifests/${digest}`],
    ['HEAD', `blobs/${digest}`],
  ]);
}

/** The requests for content of a type that is known, where no host has it. */
export const toFetch = ({ endpoints }: Plan, piece: string): PlannedRequest[] =>
  ofEach(endpoints, 'pull', [['GET', piece]]);

/** The requests for content of which only the digest is known: of all hosts as a blob, then of all as a manifest. */
export const toFetchByDigest = (plan: Plan, digest: string): PlannedRequest[] => [
  ...toFetch(plan, `blobs/${digest}`),
  ...toFetch(plan, `manifests/${digest}`),
];

function ofEach(
  endpoints: readonly Endpoint[],
  capability: Endpoint['capabilities'][number],
  questions: readonly Question[],
): PlannedRequest[] {
  return endpoints
    .filter(({ capabilities }) => capabilities.includes(capability))
    .flatMap((endpoint) => questions.map((question) => requestOf(endpoint, question)));
}

function requestOf(endpoint: Endpoint, [method, piece]: Question): PlannedRequest {
  const { url, repository, namespace, scopes, credentials, headers = {}, proxy } = endpoint;
  return {
    method,
    url: `${url}/${repository}/${piece}${namespace === undefined ? '' : `?ns=${namespace}`}`,
    at: new URL(proxy ?? url).host,
    scope: scopes.join(' '),
    login: credentials?.replace(/^credentials\["(.*)"\]$/, '$1').replaceAll(':', '_'),
    headers: Object.keys(headers)
      .map((name) => name.toLowerCase())
      .sort(),
  };
}

/**
 * What hosts that want tokens were asked. A question without a token must be followed by the same with one, which alone
 * is given: nothing else may come between.
 */
export function answered(asked: readonly Asked[], at: Readonly<Record<string, string>>): PlannedRequest[] {
  return asked.flatMap(({ host, method, url, token, headers }, index) => {
    if (token === 'none') {
      const next = asked[index + 1];
      if (next?.method === method && next.url === url && next.token !== 'none') return [];
      throw new Error(`${method} ${url} was not asked again with a token`);
    }
    const { scope = '', login } = token ?? {};
    return [{ method, url, at: at[host] ?? '', scope, login, headers }];
  });
}
