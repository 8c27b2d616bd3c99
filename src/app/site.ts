import type { Repository } from '../index.ts';
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
  /** What the page calls a repository; undefined for one that it does not show. Default: its name. */
  labelOf?(repository: Repository): string | undefined;
  /** What it has to show, besides the traffic. */
  facts?(): SiteFacts;
  /** `/` is its own, so that the page is only at `/status`. */
  readonly hasHome?: boolean;
  /** Closes what it has opened. */
  close?(): Promise<void>;
}

/** What a site shows of itself. */
export interface SiteFacts {
  /** The first cards of the page. */
  readonly cards: readonly SiteCard[];
  /** Registries that content comes from. */
  readonly upstreams?: readonly UpstreamTraffic[];
  /** Content on its way from them. */
  readonly downloads?: readonly SiteDownload[];
  /** The same as numbers, for programs. */
  readonly json: Readonly<Record<string, unknown>>;
}

/** One figure of the page. */
export interface SiteCard {
  readonly label: string;
  readonly value: string;
  readonly note: string;
}

/** What was requested of an upstream. */
export interface UpstreamTraffic {
  readonly name: string;
  /** `12 hits` */
  readonly figures: readonly string[];
  /** Milliseconds of `Date` of the last response; undefined for none. */
  readonly last?: number | undefined;
  /** Why the last request failed; undefined if it did not. */
  readonly problem?: string | undefined;
}

/** A content on its way. */
export interface SiteDownload {
  readonly name: string;
  readonly bytes: number;
  /** Negative if it is not known. */
  readonly size: number;
  readonly since: number;
}

/** What the page and its JSON say. */
export interface SiteStatus {
  readonly kind: SiteKind;
  readonly about: string;
  /** Milliseconds of `Date`. */
  readonly time: number;
  readonly traffic: Traffic;
  readonly repositories?: { readonly total: number; readonly names: readonly string[] } | undefined;
  readonly facts?: SiteFacts | undefined;
}
