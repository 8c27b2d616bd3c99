import type { Handler, ServeOptions } from '../server/index.ts';
import type { Traffic } from './statistics.ts';

/** What a program is. */
export type SiteKind = 'registry' | 'mirror' | 'front';

/** What a program serves. */
export interface Site {
  readonly kind: SiteKind;
  /** One line for the page. */
  readonly about: string;
  /** Its part of the server, made once. */
  handler(options: Pick<ServeOptions, 'onEvent' | 'onError'>): Handler;
  /** Names of all repositories, if it has a list of them. */
  repositories?(): Promise<readonly string[]>;
  /** What a cache has saved, and the registries behind it. */
  cache?(): CacheTraffic;
  /** `/` is its own, so that the page is only at `/status`. */
  readonly hasHome?: boolean;
}

/** What a cache has saved. */
export interface CacheTraffic {
  /** Requests served without the upstream, and with it. */
  readonly hits: number;
  readonly misses: number;
  /** Bytes that were sent and did not come from upstream. */
  readonly saved: number;
  readonly upstreams: readonly UpstreamTraffic[];
}

/** What was requested of an upstream. */
export interface UpstreamTraffic {
  readonly name: string;
  readonly requests: number;
  readonly failed: number;
  readonly bytes: number;
  /** Milliseconds of `Date`; undefined if it was not contacted. */
  readonly last?: number | undefined;
  /** Why the last request failed; undefined if it did not. */
  readonly problem?: string | undefined;
}

/** What the page and its JSON say. */
export interface SiteStatus {
  readonly kind: SiteKind;
  readonly about: string;
  /** Milliseconds of `Date`. */
  readonly time: number;
  readonly traffic: Traffic;
  readonly repositories?: { readonly total: number; readonly names: readonly string[] } | undefined;
  readonly cache?: CacheTraffic | undefined;
}
