/** What an endpoint is trusted with: content by digest, the meaning of a tag, the list of referrers. */
export type Capability = 'pull' | 'resolve' | 'referrers';

/** TLS settings of one endpoint; `ca`, `cert` and `key` are PEM text. */
export interface TlsOptions {
  readonly ca?: readonly string[];
  readonly cert?: string;
  readonly key?: string;
  /** Accepts any certificate. Told in an event each run. */
  readonly insecureSkipVerify?: boolean;
}

/** A place to ask, with every decision taken: whoever sends a request to it finds nothing left to decide. */
export interface Endpoint {
  /** The API root, without a slash at its end: `https://mirror.example/prefix/v2`. */
  readonly url: string;
  /** The repository as this endpoint names it, after its rewrites. */
  readonly repository: string;
  /** Token scopes, over the rewritten repository. */
  readonly scopes: readonly string[];
  readonly capabilities: readonly Capability[];
  /** Value of the `ns` parameter: the registry of the reference, sent to every endpoint that is not that registry. */
  readonly namespace?: string;
  /** Configured headers. They go to the origin of `url` only. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The rewrite rule that matched, and the repository name it was given. */
  readonly rewrite?: { readonly pattern: string; readonly replacement: string; readonly from: string };
  readonly tls?: TlsOptions;
  /** Milliseconds, for this endpoint alone. */
  readonly connectTimeout?: number;
  /** Where the login comes from, for people to read; never the login. */
  readonly credentials?: string;
  /** Most requests begun in a second, and most exchanges at a time, where the configuration says so. */
  readonly requestsPerSecond?: number;
  readonly concurrency?: number;
  /** The proxy it is asked through, its login struck; for people to read. */
  readonly proxy?: string;
  /** `file:line` of the configuration that names this endpoint. */
  readonly declaredAt?: string;
}

/** A configured host that will not be asked, and why. */
export interface Skipped {
  readonly url: string;
  readonly reason: string;
  /** The error code that left it out, where an error did: `INVALID_REWRITE`. */
  readonly code?: string;
  /** `file:line` of the configuration that decided it. */
  readonly declaredAt?: string;
}

/** An endpoint (as `plan` prints it) and what became of asking it. */
export interface Attempt extends Endpoint {
  /** `host[:port]` of the endpoint. */
  readonly host: string;
  readonly method: string;
  /** The URL asked, its user information left out and its query values struck. */
  readonly request: string;
  /** `ok`, or the code of the error. */
  readonly outcome: string;
  readonly status?: number;
  /** Codes of the answer's body (`MANIFEST_UNKNOWN`, …), if it had any. */
  readonly registryErrors?: readonly string[];
  /** Milliseconds from asking to the end of what was read. */
  readonly duration: number;
  /** Bytes of the body: as sent in an event, decoded in the error of a reading. */
  readonly bytes: number;
  /** Why it failed, in words: the message of its error. */
  readonly message?: string;
  /** What was found, without what was attempted: the end of the message. */
  readonly found?: string;
}

const struck = '***';

/** An endpoint as it may be printed: header values, keys and certificates struck. */
export function printable(endpoint: Endpoint): Endpoint {
  const { headers, tls, ...rest } = endpoint;
  return {
    ...rest,
    ...(headers && { headers: Object.fromEntries(Object.keys(headers).map((name) => [name, struck])) }),
    ...(tls && {
      tls: {
        ...(tls.ca && { ca: tls.ca.map(() => struck) }),
        ...(tls.cert !== undefined && { cert: struck }),
        ...(tls.key !== undefined && { key: struck }),
        ...(tls.insecureSkipVerify && { insecureSkipVerify: true }),
      },
    }),
  };
}

/** Query parameters whose values are no secrets and help a reader. */
const legible = new Set(['ns']);

/** A URL as it may be printed: no user information, no query values (signed URLs carry secrets there), no fragment. */
export function redactUrl(url: string | URL): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return '(not a URL)';
  }
  parsed.username = '';
  parsed.password = '';
  parsed.hash = '';
  const query = [...parsed.searchParams].map(([name, value]) => `${name}=${legible.has(name) ? value : struck}`);
  parsed.search = '';
  return query.length > 0 ? `${parsed.href}?${query.join('&')}` : parsed.href;
}
