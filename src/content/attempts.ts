import { combineErrors } from '../combine.ts';
import { type Attempt, type Endpoint, printable, redactUrl } from '../endpoint.ts';
import { asRegistryError, furthestOf, messageOf, type RegistryError, restate } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Fetched } from '../source.ts';

/** A request, as its attempt records it. */
export interface SentRequest {
  readonly endpoint: Endpoint;
  readonly method: string;
  readonly url: string;
  /** `performance.now()` when it was sent. */
  readonly started: number;
}

/** The request that brought a response. */
export function sentRequestOf({ endpoint, from, request }: Fetched, started: number): SentRequest {
  const unknown = { url: /^https?:/.test(from) ? from : 'local:///', repository: '', scopes: [], capabilities: [] };
  return { endpoint: endpoint ?? unknown, method: 'GET', url: request ?? from, started };
}

/** The record of an attempt, when it is over. */
export function recordOf(sent: SentRequest, bytes: number, error?: unknown): Attempt {
  const failure = error === undefined ? undefined : asRegistryError(error, 'UNAVAILABLE', 'make the attempt');
  return {
    ...printable(sent.endpoint),
    host: new URL(sent.endpoint.url).host,
    method: sent.method,
    request: redactUrl(sent.url),
    outcome: failure?.code ?? 'ok',
    ...(failure?.status !== undefined && { status: failure.status }),
    ...(failure && failure.registryErrors.length > 0 && { registryErrors: failure.registryErrors }),
    duration: performance.now() - sent.started,
    bytes,
    ...(failure && { message: messageOf(failure) }),
    ...(failure?.found !== undefined && { found: failure.found }),
  };
}

/** The error as its user sees it: with the host that was contacted and the record of the attempt. */
export function withAttempt(thrown: unknown, sent: SentRequest, bytes: number): RegistryError {
  const error = asRegistryError(thrown, 'UNAVAILABLE', `read "${redactUrl(sent.url)}"`);
  if (error.attempts.length > 0) return error;
  const record = recordOf(sent, bytes, error);
  const { host } = record;
  const changes = { host, attempts: [record], cause: error.cause ?? thrown };
  // The message names the host that it is about: this one, one that it led to, or none.
  if (error.host === host) return restate(error, changes);
  const found = error.attempted === undefined ? messageOf(error) : (error.found ?? '');
  return restate(error, { ...changes, found: `${found} (${host})` });
}

/** What failed during a reading, however often: the first and the last errors, and the number of those between. */
export interface Failures {
  readonly last: RegistryError | undefined;
  add(error: RegistryError): void;
  /** Those that are remembered, in their order. */
  all(): readonly RegistryError[];
  /** One error for all of them, which also says how many were forgotten. */
  combined(attempted: string, value?: string): RegistryError;
}

/** Remembers `most` failures at each end, and of those between the one that got furthest, if it got further than all others. */
export function createFailures(most = 5): Failures {
  const first: RegistryError[] = [];
  const latest: RegistryError[] = [];
  let between: RegistryError | undefined;
  let forgotten = 0;
  const all = (): RegistryError[] => {
    const isFurthest = between !== undefined && furthestOf([...first, ...latest, between]) === between;
    return [...first, ...(isFurthest && between ? [between] : []), ...latest];
  };
  return {
    get last() {
      return latest.at(-1) ?? first.at(-1);
    },
    add: (error) => {
      if (first.length < most) {
        first.push(error);
        return;
      }
      latest.push(error);
      if (latest.length <= most) return;
      const [dropped] = latest.splice(0, 1);
      forgotten += 1;
      if (dropped) between = between ? furthestOf([between, dropped]) : dropped;
    },
    all,
    combined: (attempted, value) =>
      combineErrors(attempted, all(), { value, leftOut: forgotten > 0 ? `; and ${forgotten} more failures` : '' }),
  };
}

/** Milliseconds between two progress events. */
const progressEvery = 100;

/** Reports that a content was read up to a position; at most once in a time, except `always`. */
export type ReportProgress = (position: number, from: string | undefined, always?: boolean) => void;

export function createProgress({ digest, size }: Descriptor, emit: Emit | undefined): ReportProgress {
  let reported = performance.now();
  return (position, from, always = false) => {
    const now = performance.now();
    if (!emit || from === undefined || (!always && now - reported < progressEvery)) return;
    reported = now;
    emit({ type: 'progress', digest, position, size, from });
  };
}

/** Warnings of hosts to their users, each text once; the first time it is an event. */
export interface Warnings {
  add(text: string, host: string): void;
  texts(): readonly string[];
}

export function collectWarnings(emit: Emit): Warnings {
  const texts = new Set<string>();
  return {
    add: (text, host) => {
      if (!texts.has(text)) emit({ type: 'warning', host, text });
      texts.add(text);
    },
    texts: () => [...texts],
  };
}

/** The hosts of one reading, by name: in which order to contact them, as they behave. */
export interface ReadingHosts {
  /** Contacted only after all others, in this order. */
  readonly last: readonly string[];
  /** Not contacted. */
  readonly except: readonly string[];
  /** Those that gave bytes, the latest one at the end. */
  readonly served: ReadonlySet<string>;
  /** Those that failed before another one responded. */
  readonly failed: Set<string>;
  /** Offset at which the bytes that came end. */
  readonly end: number;
  /** The bytes that came are of several responses. */
  readonly isSpliced: boolean;
  /** The host gave bytes, up to the offset `end`. */
  serves(host: string, end: number): void;
  /** What comes next is of another response. */
  joins(): void;
  /** The host broke off after `bytes`. If it gave none, or broke off before, it is contacted last, and this is false. */
  recordBreak(host: string, bytes: number): boolean;
  /** The host sent too much: it is not contacted again. */
  exclude(host: string): void;
}

/** Breaks of a host that sent bytes, before it is contacted last: one happens to any, the next is a habit. */
const trust = 2;

export interface HostsOptions {
  readonly last?: readonly string[] | undefined;
  readonly except?: readonly string[] | undefined;
  /** Hosts that gave what comes before this reading; those of this reading are added. */
  readonly served?: Set<string> | undefined;
}

export function createHosts({ last = [], except = [], served = new Set() }: HostsOptions = {}): ReadingHosts {
  const breaks = new Map<string, number>();
  let lastNow = last;
  let exceptNow = except;
  let endNow = 0;
  let isSpliced = false;
  return {
    get last() {
      return lastNow;
    },
    get except() {
      return exceptNow;
    },
    get end() {
      return endNow;
    },
    get isSpliced() {
      return isSpliced;
    },
    served,
    failed: new Set(),
    serves: (host, end) => {
      served.delete(host);
      served.add(host);
      endNow = end;
    },
    joins: () => {
      isSpliced = true;
    },
    recordBreak: (host, bytes) => {
      isSpliced ||= bytes > 0;
      const count = (breaks.get(host) ?? 0) + 1;
      breaks.set(host, count);
      const isTrusted = bytes > 0 && count < trust;
      if (!isTrusted) lastNow = [...lastNow.filter((name) => name !== host), host];
      return isTrusted;
    },
    exclude: (host) => {
      exceptNow = [...exceptNow, host];
    },
  };
}

/** Hosts that gave wrong bytes, by digest: they are contacted last for it from then on. Holds a thousand digests. */
export interface Liars {
  /** `hosts` gave the bytes, in this order. A single one lied; of several, the last, whose bytes reached the end, may be honest. */
  remember(digest: string, hosts: Iterable<string>): void;
  /** In the order in which to contact them, after all others. */
  of(digest: string): readonly string[];
}

export function createLiars(most = 1000): Liars {
  const known = new Map<string, readonly string[]>();
  return {
    remember: (digest, hosts) => {
      const served = [...hosts].reverse();
      const others = (known.get(digest) ?? []).filter((host) => !served.includes(host));
      known.set(digest, served.length > 1 ? [...served, ...others] : [...others, ...served]);
      const [oldest] = known.keys();
      if (known.size > most && oldest !== undefined) known.delete(oldest);
    },
    of: (digest) => known.get(digest) ?? [],
  };
}
