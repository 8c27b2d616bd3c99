import { type BodyEnd, createBody, type Meter } from '../body.ts';
import type { Contest, Endpoint, Owed, TlsOptions } from '../endpoint.ts';
import type { Body } from '../source.ts';

/** Which addresses a connection may be made to: any; not link-local (`private`); only public ones (`public`). */
export type AddressPolicy = 'any' | 'private' | 'public';

/** One request; every decision is in it. */
export interface HttpRequest {
  readonly method: string;
  /** Absolute; http or https. */
  readonly url: string;
  /** Names in lower case. Headers that only the endpoint may see are in `endpoint.headers`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The endpoint that is contacted: its headers, scopes, credentials and TLS apply. Absent for another origin (an external URL, a redirect's target). */
  readonly endpoint?: Endpoint | undefined;
  /** Another host is left: shorter time limits, no waiting, no second try. */
  readonly more?: boolean | undefined;
  /** Tries that it had before, while another host was left. */
  readonly tried?: number | undefined;
  /** Another host is left that has not failed: the body is broken off below the minimum speed. */
  readonly canLeave?: boolean | undefined;
  /** Measures how fast the body comes. */
  readonly meter?: Meter | undefined;
  /** Another host may be requested at the same time, if this one is silent. */
  readonly contest?: Contest | undefined;
  /** One of many contents that are small: how many exchanges with the origin there may be at a time. */
  readonly oneOfMany?: number | undefined;
  readonly addresses?: AddressPolicy | undefined;
  /** Addresses and CIDR blocks that may be connected to although `addresses` does not allow them. */
  readonly allowPrivate?: readonly string[] | undefined;
  readonly tls?: TlsOptions | undefined;
}

/** A response whose body is not yet read: read it to its end or cancel it. */
export interface HttpResponse {
  readonly status: number;
  /** Names in lower case; several lines of one name are joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** As sent: no content encoding is decoded. */
  readonly body: Body;
  /** The URL of the response: after redirects, the last one. */
  readonly url: string;
  /** Settles when the body has ended, however it did; never rejects. Given by the transports of this package. */
  readonly ended?: Promise<BodyEnd> | undefined;
  /** `performance.now()` when a reader last took a byte of the body or, if one waits for it, now. Given by the transports of this package. */
  readonly lastRead?: (() => number) | undefined;
  /** Whether a login was sent with a request that was refused, as an error's `reason`. Given by `authorize`. */
  readonly login?: 'login-refused' | 'no-login' | 'login-withheld' | undefined;
  /** IP address that was connected to, if the transport knows it. */
  readonly address?: string | undefined;
  /** For a status that may pass, if another host is left: what this one is owed. Set by the client's retries. */
  readonly owed?: Owed | undefined;
}

/**
 * One exchange. Fails with `UNAVAILABLE`, `TIMEOUT`, `ABORTED` or `UNSAFE_URL`, and with `INVALID_CONFIG` if the TLS
 * settings cannot be used; every status is a response, not a failure. It follows no redirect.
 *
 * A client checks hosts that are addresses themselves, and names of this machine, before it calls its user's transport.
 * Only the transport sees the addresses of other names: with `addresses` other than `any` it must look the name up, connect
 * only to an address that is allowed, by `addresses` or `allowPrivate`, and refuse (`UNSAFE_URL`) a name without one. If it reports the `address` that it
 * connected to, redirects and token realms are checked by it.
 */
export type Transport = (request: HttpRequest) => Promise<HttpResponse>;

/** A transport that keeps connections. `close` ends them, also those in use; from then on it fails with `CLOSED`. */
export type ConnectedTransport = Transport & { close(): Promise<void> };

/** One concern around a transport. */
export type Wrapper = (next: Transport) => Transport;

/** Puts wrappers around a transport; the first is the outermost. */
export const wrap = (transport: Transport, ...wrappers: Wrapper[]): Transport =>
  wrappers.reduceRight((next, wrapper) => wrapper(next), transport);

/** Limits of one exchange. */
export interface TransportTimeouts {
  /** Milliseconds to connect, TLS included. Default 10,000, or 3,000 if another host is left. */
  readonly connect?: number | undefined;
  /** Milliseconds from sending the request to the end of the response's head. Default 30,000, or 10,000 if another host is left. */
  readonly headers?: number | undefined;
  /** Milliseconds without a byte of the body, counted while a reader waits for it. Default 30,000. */
  readonly idle?: number | undefined;
  /**
   * Bytes per second of a body, as sent, over each `idle` milliseconds in which a reader waited for it. A slower one breaks
   * with `TIMEOUT`, if another host is left that has not failed; that host continues. Default 4,096; 0 for none.
   */
  readonly minimumSpeed?: number | undefined;
}

/** The limits of one request. */
export function timeoutsOf(
  request: HttpRequest,
  { connect, headers, idle, minimumSpeed = 4_096 }: TransportTimeouts,
): Required<Record<keyof TransportTimeouts, number>> & Pick<HttpRequest, 'meter'> {
  return {
    connect: request.endpoint?.connectTimeout ?? connect ?? (request.more ? 3_000 : 10_000),
    headers: headers ?? (request.more ? 10_000 : 30_000),
    idle: idle ?? 30_000,
    minimumSpeed: request.canLeave ? minimumSpeed : 0,
    meter: request.meter,
  };
}

/** Calls `listen` once when the body has ended; returns the response that must be used in place of the given one. */
export function whenEnded(response: HttpResponse, listen: (end: BodyEnd) => void): HttpResponse {
  if (response.ended) {
    void response.ended.then(listen);
    return response;
  }
  const iterator = response.body[Symbol.asyncIterator]();
  const { body, ended, lastRead } = createBody({
    next: async () => (await iterator.next()).value,
    cancel: (reason) => response.body.cancel(reason),
  });
  void ended.then(listen);
  return { ...response, body, ended, lastRead };
}
