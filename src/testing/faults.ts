import type { Route } from '../oci/route.ts';

/** What a request is for: a part of the distribution API, the token endpoint, or nothing that a registry has. */
export type TestRequestKind = Route['kind'] | 'token' | 'other';

/** A request that came. */
export interface TestRequest {
  readonly method: string;
  /** Path and query, as they were sent. */
  readonly path: string;
  readonly kind: TestRequestKind;
  readonly repository?: string | undefined;
  /** Tag, digest, or id of an upload. */
  readonly reference?: string | undefined;
  /** As the `Host` header has it. */
  readonly host: string;
  /** By name in lower case; several of one name are joined. */
  readonly headers: Readonly<Record<string, string>>;
  /** `GET /v2/team/app/manifests/1.0`, and the range, if one is requested: ` bytes=0-9`. */
  readonly line: string;
  /** The fault that it had. */
  readonly fault?: AnyFault | undefined;
  /** Of the response; undefined until there is one. */
  readonly status?: number | undefined;
  /** Of the body of the response, as many as were sent so far. */
  readonly bytes?: number | undefined;
}

/** One of these or several. */
type Some<T> = T | readonly T[];

/** Which requests a fault is for: those that fit everything that is given. */
export interface FaultMatch {
  /** Default: every method; but HEAD only if a fault concerns more than the body. */
  readonly method?: Some<string> | undefined;
  readonly kind?: Some<TestRequestKind> | undefined;
  /** `team/app`, or a pattern. */
  readonly repository?: string | RegExp | undefined;
  /** A tag, digest or id of an upload, or a pattern. */
  readonly reference?: string | RegExp | undefined;
  /** As the `Host` header has it, with the port or without. */
  readonly host?: string | undefined;
  /** Any other condition; called for requests that fit all else. */
  readonly when?: ((request: TestRequest) => boolean) | undefined;
  /**
   * Which of the requests that fit, counted from 1 and for each fault alone: `1`, `[1, 3]`, or `{ from: 2, to: 4 }` with both
   * included. Default: all.
   */
  readonly nth?: Some<number> | { readonly from?: number; readonly to?: number } | undefined;
}

/** What comes in place of the registry's own response; at most one of these. */
interface FaultResponses {
  /** A response of this status. Without a `body` it has an error in the form of the specification, if it is one. */
  readonly status: number;
  /** 429 with this `Retry-After`: seconds, or a text such as a date. */
  readonly rateLimit: number | string;
  /** The token of the request counts as expired from now on: 401 with a challenge. Only with access by tokens. */
  readonly expiredToken: true;
}

/** Where a response breaks: after so many bytes of its body, however long it is, or before its head. */
type Place = number | 'head';

/** How a response breaks; at most one of these. A body that has fewer bytes is sent whole. */
interface FaultBreaks {
  /** The connection is closed in the middle of the response. */
  readonly cut: Place;
  /** As `cut`, with a TCP reset. */
  readonly reset: Place;
  /** Nothing more comes, and the connection stays open. */
  readonly stall: Place;
  /** The body ends too early, but as if it were complete: without `Content-Length`. */
  readonly shorten: number;
  /** These bytes in place of the response, then the connection is closed. */
  readonly raw: string | Uint8Array;
  /** The registry is down: all connections are reset, new ones are refused, until `start()` or for so many milliseconds. */
  readonly down: true | number;
}

/** What is changed in a response, whoever made it. */
export interface FaultChanges {
  /** Milliseconds before the response. */
  readonly delay?: number | undefined;
  /** Most bytes of the body in a second. */
  readonly speed?: number | undefined;
  /** Headers that are set; null removes one. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | null>> | undefined;
  /** The whole body; anything but text and bytes is sent as JSON. */
  readonly body?: string | Uint8Array | object | undefined;
  /** The byte at this offset of the body is wrong; the last one, if the body is shorter. */
  readonly wrongBytes?: number | undefined;
  /** Makes another body of the whole one: shorter, longer, encoded. */
  readonly change?: ((body: Uint8Array) => Uint8Array | string) | undefined;
  /** `Range` of the request is ignored. */
  readonly ignoreRange?: true | undefined;
}

type AtMostOne<T> =
  | { readonly [Key in keyof T]?: undefined }
  | {
      [Key in keyof T]: { readonly [Own in Key]: T[Key] } & { readonly [Other in Exclude<keyof T, Key>]?: undefined };
    }[keyof T];

/**
 * What goes wrong, and for which requests. The first fault of a script that is for a request is the only one that it has.
 * A change, a response and a break can be combined: `{ status: 500, delay: 100, cut: 3 }`.
 */
export type Fault = FaultMatch & FaultChanges & AtMostOne<FaultResponses> & AtMostOne<FaultBreaks>;

/** Any fault, with all fields. */
export type AnyFault = FaultMatch & FaultChanges & AnyOf<FaultResponses> & AnyOf<FaultBreaks>;

type AnyOf<T> = { readonly [Key in keyof T]?: T[Key] | undefined };

export const responseNames = ['status', 'rateLimit', 'expiredToken'] as const satisfies (keyof FaultResponses)[];
export const breakNames = ['cut', 'reset', 'stall', 'shorten', 'raw', 'down'] as const satisfies (keyof FaultBreaks)[];
/** Changes that only a body shows. */
export const bodyNames = [
  'speed',
  'body',
  'wrongBytes',
  'change',
  'ignoreRange',
] as const satisfies (keyof FaultChanges)[];
