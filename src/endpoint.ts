import { redacted, safeText } from './redaction.ts';

/** What an endpoint is trusted with: content by digest, what a tag names, the list of referrers. */
export type Capability = 'pull' | 'resolve' | 'referrers';

/** TLS settings of one endpoint; `ca`, `cert` and `key` are PEM text. */
export interface TlsOptions {
  readonly ca?: readonly string[];
  readonly cert?: string;
  readonly key?: string;
  /** Accepts any certificate. An event warns of it in each run. */
  readonly insecureSkipVerify?: boolean;
}

/** A place for a repository's content with every decision made: the code that sends requests has nothing left to decide. */
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
  /** Hosts, domains and address ranges that this endpoint may refer to although their addresses are private. */
  readonly allowPrivate?: readonly string[];
  /** Milliseconds, only for this endpoint. */
  readonly connectTimeout?: number;
  /** Where the login comes from, for people to read; never the login. */
  readonly credentials?: string;
  /** Most requests begun in a second, and most exchanges at a time, if configured. */
  readonly requestsPerSecond?: number;
  readonly concurrency?: number;
  /**
   * Milliseconds without a response after which the next endpoint is requested, too, or three times what this one usually takes,
   * if that is more. Set by a client, unless it is the last one or `timeouts.hedge` is 0.
   */
  readonly hedge?: number;
  /**
   * Milliseconds over which a body is compared with what other endpoints bring: below a tenth of that, the next one continues. Set
   * by a client, unless it is the last one or `timeouts.crawl` is 0.
   */
  readonly crawl?: number;
  /** The proxy in use, with its login redacted; for people to read. */
  readonly proxy?: string;
  /** `file:line` of the configuration that names this endpoint. */
  readonly declaredAt?: string;
}

/** A configured host that is not used, and why. */
export interface Skipped {
  readonly url: string;
  readonly reason: string;
  /** The error code, if an error left it out: `INVALID_REWRITE`. */
  readonly code?: string;
  /** `file:line` of the configuration that decided it. */
  readonly declaredAt?: string;
}

/** An endpoint (as `plan` prints it) and the result of a request to it. */
export interface Attempt extends Endpoint {
  /** `host[:port]` of the endpoint. */
  readonly host: string;
  readonly method: string;
  /** The requested URL, without user information and query values. */
  readonly request: string;
  /** `ok`, or the code of the error. */
  readonly outcome: string;
  readonly status?: number;
  /** Codes of the response's body (`MANIFEST_UNKNOWN`, …), if it had any. */
  readonly registryErrors?: readonly string[];
  /** Milliseconds from the request to the end of what was read. */
  readonly duration: number;
  /** Bytes of the body: in an event as sent, in an error of reading decoded. */
  readonly bytes: number;
  /** Why it failed, in words: the message of its error. */
  readonly message?: string;
  /** What was found, without what was attempted: the end of the message. */
  readonly found?: string;
}

/** What a host may still be sent when no other one is left: its tries were cut short because another one was. */
export interface Owed {
  /** Tries that it had in full. */
  readonly tried: number;
  /** Milliseconds until it may respond, roughly: those that it asked to wait, or what it may take until it is given up. */
  readonly expected: number;
}

/** What a call of several that are made for one result, and of which one is enough, has to do with the others. */
export interface Contest {
  /** Fires when the result of another call is used, or another host is requested instead. */
  readonly signal: AbortSignal;
  /** A request of the call is sent. */
  readonly onSent: () => void;
  /** Its response has not begun for so many milliseconds, longer than usual; 0: it has begun after all. */
  readonly onSilent: (milliseconds: number) => void;
}

/** An endpoint as it may be printed: header values, keys and certificates redacted. */
export function printable(endpoint: Endpoint): Endpoint {
  const { headers, tls, ...rest } = endpoint;
  return {
    ...rest,
    ...(headers && { headers: Object.fromEntries(Object.keys(headers).map((name) => [name, redacted])) }),
    ...(tls && {
      tls: {
        ...(tls.ca && { ca: tls.ca.map(() => redacted) }),
        ...(tls.cert !== undefined && { cert: redacted }),
        ...(tls.key !== undefined && { key: redacted }),
        ...(tls.insecureSkipVerify && { insecureSkipVerify: true }),
      },
    }),
  };
}

/** Query parameters whose values are not secret and help a reader. */
const shownParameters = new Set(['ns']);

/**
 * A URL as it may be printed: no user information, no query values (signed URLs carry secrets there), no fragment. A part
 * of the query that is not a short name and a value is not shown at all.
 */
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
  const query = [...parsed.searchParams].map(([name, value]) => {
    if (shownParameters.has(name)) return `${name}=${safeText(value)}`;
    return value !== '' && /^[\w.-]{1,32}$/.test(name) ? `${name}=${redacted}` : redacted;
  });
  parsed.search = '';
  return query.length > 0 ? `${parsed.href}?${query.join('&')}` : parsed.href;
}
