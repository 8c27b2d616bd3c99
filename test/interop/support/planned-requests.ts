import type { Endpoint, Plan } from 'ocifetch';
import type { RecordedRequest } from './recording-hosts.ts';

/** A request, as planned or as received by a host. */
export interface PlannedRequest {
  readonly method: string;
  /** With the rewritten repository, and `ns`. */
  readonly url: string;
  /** `host:port` of the connection: that of the proxy, if there is one. */
  readonly at: string;
  readonly scope: string;
  /** The key of the login that was used, or the program that returned it. */
  readonly login: string | undefined;
  /** Names of configured headers. */
  readonly headers: readonly string[];
}

/** A request to an endpoint: a method, and a path in its repository. */
export type Question = readonly [method: string, piece: string];

/**
 * The requests for what a reference names, if no host has it. A tag is requested from hosts that resolve. A digest is requested
 * from hosts with content: from each as a manifest and then, as it may be that of a blob, as a blob.
 */
export function toResolve({ reference, endpoints }: Plan): PlannedRequest[] {
  const { tag = 'latest', digest } = reference;
  if (digest === undefined) return ofEach(endpoints, 'resolve', [['HEAD', `manifests/${tag}`]]);
  return ofEach(endpoints, 'pull', [
    ['HEAD', `manifests/${digest}`],
    ['HEAD', `blobs/${digest}`],
  ]);
}

/** The requests for content of a known type, if no host has it. */
export const toFetch = ({ endpoints }: Plan, piece: string): PlannedRequest[] =>
  ofEach(endpoints, 'pull', [['GET', piece]]);

/** The requests for content of which only the digest is known: as a blob from all hosts, then as a manifest. */
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
 * The requests with tokens to hosts that require them. A request without a token must be followed at once by the same request
 * with one, and only that one is returned.
 */
export function withTokens(
  requests: readonly RecordedRequest[],
  at: Readonly<Record<string, string>>,
): PlannedRequest[] {
  return requests.flatMap(({ host, method, url, token, headers }, index) => {
    if (token === 'none') {
      const next = requests[index + 1];
      if (next?.method === method && next.url === url && next.token !== 'none') return [];
      throw new Error(`${method} ${url} was not sent again with a token`);
    }
    const { scope = '', login } = token ?? {};
    return [{ method, url, at: at[host] ?? '', scope, login, headers }];
  });
}
