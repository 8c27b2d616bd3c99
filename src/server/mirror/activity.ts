import { createBody } from '../../body.ts';
import { asRegistryError, messageOf, type RegistryError } from '../../errors.ts';
import type { Digest } from '../../oci/digest.ts';
import { formatReference, type Repository } from '../../oci/reference.ts';
import type { Body } from '../../source.ts';

/** What a mirror did, as records. `repository` is the one upstream, whatever name it was requested by. */
export type MirrorEvent =
  | {
      /** A tag was resolved. Not `upstream`: within its time, unchanged since, or as it was because of `error`. */
      readonly type: 'tag';
      readonly repository: Repository;
      readonly tag: string;
      readonly outcome: 'fresh' | 'unchanged' | 'stale' | 'upstream';
      readonly error?: RegistryError | undefined;
    }
  | {
      /** A content was sent, or as much of it as somebody read. A hit if none of it had to be requested. */
      readonly type: 'hit' | 'miss';
      readonly repository: Repository;
      readonly digest: Digest;
      readonly bytes: number;
      readonly error?: RegistryError | undefined;
    }
  | {
      /** A content was requested upstream: once, for all who want it at that time. */
      readonly type: 'download';
      readonly repository: Repository;
      readonly digest: Digest;
      readonly bytes: number;
      /** Milliseconds. */
      readonly duration: number;
      readonly error?: RegistryError | undefined;
    }
  | {
      /** A request upstream failed. */
      readonly type: 'failure';
      readonly repository: Repository;
      readonly error: RegistryError;
    }
  | { readonly type: 'eviction'; readonly digest: Digest; readonly bytes: number }
  | { /** Something could not be kept. */ readonly type: 'store-failure'; readonly error: RegistryError };

/** A download from upstream that is under way. */
export interface MirrorDownload {
  /** `docker.io/library/alpine@sha256:…` */
  readonly reference: string;
  /** Bytes that have come; of `size` in all, which is negative if that is not known. */
  readonly bytes: number;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/** What became of the requests for one registry since the mirror was made. */
export interface UpstreamStatus {
  /** `docker.io` */
  readonly registry: string;
  /** Contents that were sent, without and with a request upstream. */
  readonly hits: number;
  readonly misses: number;
  /** Bytes that were sent of what was kept, and that came from upstream. */
  readonly bytesFromCache: number;
  readonly bytesFromUpstream: number;
  /** Tags that were given as they were because the registry could not be reached. */
  readonly stale: number;
  /** Requests upstream that failed, but those for what does not exist. */
  readonly errors: number;
  /** Of the last one that failed, and when: milliseconds since 1970. */
  readonly lastError?: { readonly message: string; readonly at: number } | undefined;
}

/** What happens in a mirror is reported to this. */
export interface Activity {
  note(event: MirrorEvent): void;
  /** Reports a download, and gives its body when that is known. */
  download(repository: Repository, target: { readonly digest: Digest; readonly size: number }): DownloadRecord;
  upstreams(): readonly UpstreamStatus[];
  downloads(): readonly MirrorDownload[];
  readonly evictions: number;
}

/** The record of one download. */
interface DownloadRecord {
  /** The same body, counted. */
  counting(body: Body, size: number): Body;
  failed(error: unknown): void;
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Counts what happens, and hands it on to `onEvent`, whose errors are ignored. */
export function createActivity(onEvent: ((event: MirrorEvent) => unknown) | undefined): Activity {
  const upstreams = new Map<string, Writable<UpstreamStatus>>();
  const downloads = new Set<Writable<MirrorDownload>>();
  let evictions = 0;
  const statusOf = (registry: string): Writable<UpstreamStatus> => {
    const none = { hits: 0, misses: 0, bytesFromCache: 0, bytesFromUpstream: 0, stale: 0, errors: 0 };
    const status = upstreams.get(registry) ?? { registry, ...none };
    upstreams.set(registry, status);
    return status;
  };
  const count = (event: MirrorEvent): void => {
    if (event.type === 'eviction') evictions += 1;
    if (!('repository' in event)) return;
    const status = statusOf(event.repository.registry);
    if (event.type === 'hit') status.hits += 1;
    if (event.type === 'hit') status.bytesFromCache += event.bytes;
    if (event.type === 'miss') status.misses += 1;
    if (event.type === 'tag' && event.outcome === 'stale') status.stale += 1;
    if (event.type === 'failure') {
      status.errors += 1;
      status.lastError = { message: messageOf(event.error), at: Date.now() };
    }
  };
  const note = (event: MirrorEvent): void => {
    count(event);
    if (onEvent)
      Promise.resolve(event)
        .then(onEvent)
        .catch(() => {});
  };
  return {
    note,
    download: (repository, { digest, size }) => {
      const started = performance.now();
      const reference = formatReference({ ...repository, digest });
      const under: Writable<MirrorDownload> = { reference, bytes: 0, size, since: Date.now() };
      downloads.add(under);
      const end = (thrown?: unknown): void => {
        downloads.delete(under);
        const error = thrown === undefined ? undefined : asRegistryError(thrown, 'UNAVAILABLE', `fetch "${digest}"`);
        const duration = performance.now() - started;
        note({ type: 'download', repository, digest, bytes: under.bytes, duration, error });
      };
      const onChunk = (bytes: number): void => {
        under.bytes += bytes;
        statusOf(repository.registry).bytesFromUpstream += bytes;
      };
      return {
        failed: end,
        counting: (body, known) => {
          under.size = known;
          return countedBody(body, onChunk, end);
        },
      };
    },
    upstreams: () => [...upstreams.values()].map((status) => ({ ...status })),
    downloads: () => [...downloads].map((download) => ({ ...download })),
    get evictions() {
      return evictions;
    },
  };
}

/** The same body; each chunk and the end are reported. */
export function countedBody(body: Body, onChunk: (bytes: number) => void, onEnd: (error?: unknown) => void): Body {
  const chunks = body[Symbol.asyncIterator]();
  const next = async (): Promise<Uint8Array | undefined> => {
    const { done, value } = await chunks.next();
    if (done) return undefined;
    onChunk(value.length);
    return value;
  };
  const counted = createBody({ next, cancel: (reason) => body.cancel(reason) });
  void counted.ended.then(({ error }) => onEnd(error));
  return counted.body;
}
