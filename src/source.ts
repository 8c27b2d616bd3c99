import type { Contest, Endpoint } from './endpoint.ts';
import type { Descriptor } from './oci/descriptor.ts';
import type { Digest } from './oci/digest.ts';
import type { Range } from './oci/range.ts';
import type { Repository } from './oci/reference.ts';

/** Bytes in their order. Chunks belong to the receiver. */
export type Chunks = AsyncIterable<Uint8Array>;

/**
 * Bytes on their way. Iterate once, to the end, or cancel: one of the two must happen, or a connection stays taken.
 * Leaving a `for await` early cancels.
 */
export interface Body extends Chunks {
  /** Stops at once, also when nothing was read: reaches the socket. Safe to call again, and after the end. */
  cancel(reason?: unknown): Promise<void>;
}

/** A host's word for what it says of a tag, which it recognizes later. https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3 */
export interface Validator {
  /** As the host wrote it, with its quotes. */
  readonly etag: string;
  /** Name of the source that gave it: others do not know it. */
  readonly from: string;
}

/** What a tag named, as a host said it. */
export interface KnownTag {
  readonly descriptor: Descriptor;
  readonly validator: Validator;
}

/** Options of every call to a source. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Another source is left after this one: do not wait here, and do not try again. Set by `firstOf`. */
  readonly more?: boolean | undefined;
  /** What this source is owed by an earlier call that `more` cut short: how many tries it had. Set by `firstOf`. */
  readonly tried?: number | undefined;
  /** Another source is left that has not failed: a body that comes too slowly is broken off. Set by `firstOf`, for `fetch`. */
  readonly canLeave?: boolean | undefined;
  /** Names of those sources. */
  readonly rivals?: readonly string[] | undefined;
  /** Another source may be asked for the same at the same time. Set by a client for its hosts. */
  readonly contest?: Contest | undefined;
  /** One of many contents that are small: how many of them may be read from a host at a time. Set by `copy`. */
  readonly oneOfMany?: number | undefined;
  /** `resolve` only: the content is wanted next. A remote source then reads it at once and keeps it for the `fetch` that follows. */
  readonly content?: boolean | undefined;
  /** False: what a layout has through a link, symbolic or hard, counts as not there. Set by `serve`. */
  readonly links?: boolean | undefined;
  /**
   * `resolve` of a digest only: bytes that are wrong count as not there. A store reads them unless it knows, and with `again`
   * whatever it knows. Set by `copy`.
   */
  readonly verify?: boolean | 'again' | undefined;
  /** `resolve` of a digest only: what it probably is, so that a registry is asked for that first. Set by `serve`. */
  readonly kind?: 'manifests' | 'blobs' | undefined;
  /**
   * `resolve` of a tag only: what it named before. The host that gave the validator may say that nothing has changed, which
   * gives this descriptor. Set by `pullThrough`.
   */
  readonly known?: KnownTag | undefined;
  /** `resolve` of a tag only: called with the validator of the response, if it has one. */
  readonly onValidator?: ((validator: Validator) => void) | undefined;
  /** `push` only. False: of what breaks off nothing is left for another time. Set by a store with a bound. */
  readonly keepsPart?: boolean | undefined;
  /**
   * `push` and `mount` only: a manifest that names it is to come in another call. A store that removes what has no name waits for
   * it. Set by `serve`.
   */
  readonly isExpected?: boolean | undefined;
  /** `remove` only: called for each name that is removed with the content, perhaps twice. Set by `serve`. */
  readonly onUntagged?: ((name: string) => void) | undefined;
  /** Called for each warning of a host to its users (`Warning` headers); 110 says that the response is stale, 299 anything. */
  readonly onWarning?: ((text: string, host: string, code?: number) => void) | undefined;
}

/** Which bytes, and from which sources. */
export interface FetchOptions extends CallOptions {
  /** Counts decoded bytes, those that the digest is over. Left out: the whole content. */
  readonly range?: Range | undefined;
  /** The manifest that lists the content: a mirror that lacks the content may get it when that is requested there. */
  readonly manifest?: Digest | undefined;
  /** Names of sources to contact only after all others, in this order. */
  readonly last?: readonly string[] | undefined;
  /** Names of sources not to contact. */
  readonly except?: readonly string[] | undefined;
  /**
   * Most bytes to drop before the range, if a host does not support ranges and no other is left; the source's own limit
   * when left out. Infinity for whoever would otherwise begin anew.
   */
  readonly discard?: number | undefined;
  /**
   * Only these bytes at once, or a failure: others are read of the same content at the same time. Set by whoever reads from one of
   * `divisible`'s hosts.
   */
  readonly isPart?: boolean | undefined;
}

/** What those who read the contents of one client over several connections share. */
export interface SplitSharing {
  readonly choice: 'auto' | 'always' | 'never';
  /** Most connections to a host. */
  readonly mostOfHost: number;
  /** A body of a host was opened; what this gives is called when that is over. */
  enter(host: string): () => void;
  /** Bodies of a host that are open. */
  openAt(host: string): number;
  /** Memory for bytes that come before it is their turn; false if so much is not left. */
  reserve(bytes: number): boolean;
  release(bytes: number): void;
}

/** Hosts that can be read from at the same time, each by its name. */
export interface Divisible {
  readonly mirrors: readonly Source[];
  /** Only for content that it serves already: a registry is spared what its mirrors have. */
  readonly origins: readonly Source[];
  readonly sharing: SplitSharing;
}

/** An open response. Whoever holds it reads `body` to its end or cancels it. */
export interface Fetched {
  readonly descriptor: Descriptor;
  readonly body: Body;
  /** Name of the source that responded: for a registry its API root, `https://mirror.example/v2`. */
  readonly from: string;
  /** Warnings of the host to its users (`Warning` headers). */
  readonly warnings?: readonly string[] | undefined;
  /** The endpoint that responded, without secrets, and the URL that was requested; for the record of an attempt. */
  readonly endpoint?: Endpoint | undefined;
  readonly request?: string | undefined;
}

/**
 * The readable content of one repository, wherever it lives.
 *
 * Both methods fail with a RegistryError: `NOT_FOUND` for content that is not there, `ABORTED` when `signal` fires.
 */
export interface Source {
  /** The name of this source in `from`, `last` and `except`; a source made of several has none. */
  readonly name?: string | undefined;
  /**
   * True: a body of a whole content fails before its last chunk if its bytes do not have its digest. Default: whether it is a
   * store, as what a store has it has verified.
   */
  readonly verifies?: boolean | undefined;
  /** The repository that it is of, for messages: `registry.example/team/app`. */
  readonly repository?: string | undefined;
  /** How large content may be read over several connections. Default: over one. */
  readonly divisible?: Divisible | undefined;
  /** Most bytes of a manifest that a reader of this source should take, as its user set it; otherwise 4 MiB. */
  readonly manifestBytes?: number | undefined;
  /** What does this tag or digest name? */
  resolve(reference: string, options?: CallOptions): Promise<Descriptor>;
  /**
   * The bytes of this descriptor, from `range.start` on. The bytes are as the source has them: not verified here, and
   * possibly fewer or more than requested; `Content` is what counts and hashes.
   */
  fetch(target: Descriptor, options?: FetchOptions): Promise<Fetched>;
}

/** A source that can be written. */
export interface Store extends Source {
  /** True: nobody may write into this repository, nor create it. Each of its methods that write is `DENIED`. */
  readonly isDenied?: boolean | undefined;
  /**
   * Keeps `body` under `target.digest`, if its bytes have that digest and size: otherwise `DIGEST_MISMATCH`, `TOO_LARGE`
   * or `UNEXPECTED_END`, and nothing is kept. Reads `body` to its end or cancels it by leaving the loop.
   */
  push(target: Descriptor, body: Chunks, options?: CallOptions): Promise<void>;
  /** Gives pushed content a name, taking the name from whatever had it. */
  tag(target: Descriptor, name: string, options?: CallOptions): Promise<void>;
}

/** How to give content to a store that can resume it. */
export interface PushOptions extends CallOptions {
  /** Called when someone else, perhaps another process, is pushing the same content and is waited for. */
  readonly onWait?: (() => void) | undefined;
}

/** A store that keeps the beginning of what broke off, and resumes from there the next time, also in another process. */
export interface ResumableStore extends Store {
  /**
   * As `push`, of content that can be read from any byte on. `open` is called with the offset to begin at: not at all if
   * the content is here already or another process brings it meanwhile; once more, with 0, if what was kept of an earlier
   * time turns out to be wrong.
   */
  pushFrom(target: Descriptor, open: (offset: number) => Chunks, options?: PushOptions): Promise<void>;
}

/** A store that removes what has no name, unless it is kept explicitly. A store may be this, too. */
export interface Keeper {
  /** Keeps pushed content without a name; what has a name or is kept already stays as it is. `NOT_FOUND`. */
  keep(target: Descriptor, options?: CallOptions): Promise<void>;
}

/** A store that is cleaned up at times, and must not be during work that is more than one push. */
export interface Sessions {
  /** What is pushed, or found here by its digest, stays until the function that this gives is called; that never fails. */
  begin(): () => Promise<void>;
}

/** Opens content of which only the digest is known, in one request: a source may be this, too. */
export interface Opener {
  /** The whole content of a digest; its descriptor has the size. `NOT_FOUND`, and errors as those of `fetch`. */
  open(digest: Digest, options?: CallOptions): Promise<Fetched>;
}

/** Whose tags can be listed: a source may be this, too. */
export interface Lister {
  /** All tags, each once, sorted by code point. `NOT_FOUND` if there is no such repository. */
  tags(options?: CallOptions): Promise<readonly string[]>;
}

/** How to ask for referrers. */
export interface ReferrersOptions extends CallOptions {
  /** Only those of this type. */
  readonly artifactType?: string | undefined;
}

/** Knows which manifests refer to another as their `subject`: a source may be this, too. */
export interface Referrers {
  /** Their descriptors, with `artifactType` and annotations; none for content that nobody refers to, or that is not there. */
  referrers(digest: Digest, options?: ReferrersOptions): Promise<readonly Descriptor[]>;
}

/** A store from which content and names can be removed: a store may be this, too. */
export interface Deleter {
  /** Removes content, and all names that stand for it. `NOT_FOUND` if it is not there. */
  remove(digest: Digest, options?: CallOptions): Promise<void>;
  /** Removes a name; what it stood for stays. `NOT_FOUND` if there is no such name. */
  untag(name: string, options?: CallOptions): Promise<void>;
}

/** Limits of uploads, as whoever accepts them from others sets them. */
export interface UploadLimits extends CallOptions {
  /** Most bytes of one upload. Default: as many as the store can hold; 256 MiB in memory. */
  readonly uploadBytes?: number | undefined;
  /** Most uploads that are open at a time; one more is `RATE_LIMITED`. Default: 64 in memory, 1,000 in a layout. */
  readonly uploads?: number | undefined;
  /** Milliseconds without a request after which an upload is dropped. Default: 5 minutes in memory, a day in a layout. */
  readonly uploadIdle?: number | undefined;
}

/** A store that takes content in pieces, whose digest and size are known only at the end: a store may be this, too. */
export interface Uploads {
  beginUpload(limits?: UploadLimits): Promise<Upload>;
  /** An upload that was begun, perhaps by another process. `NOT_FOUND` for any other. */
  findUpload(id: string, limits?: UploadLimits): Promise<Upload>;
}

/** How to add to an upload. */
export interface AppendOptions extends CallOptions {
  /** How many bytes there must be: more are `TOO_LARGE`, fewer `UNEXPECTED_END`, and nothing of them stays. */
  readonly size?: number | undefined;
  /**
   * How many bytes the upload must have before: otherwise a request that added to it was under way, as of a client that tries
   * again, which is `STORE_ERROR` with the reason `upload-in-use`, and nothing is read.
   */
  readonly start?: number | undefined;
}

/**
 * Content on its way into a store. One call at a time: another one meanwhile, also by another process, is `STORE_ERROR`
 * with the reason `upload-in-use`. `NOT_FOUND` once it has ended.
 */
export interface Upload {
  /** Names it to `findUpload`; safe in a path. */
  readonly id: string;
  /** Bytes that it has. */
  readonly size: number;
  /** Least bytes of a piece that is not the last; undefined if any number will do. */
  readonly minimumChunk?: number | undefined;
  /**
   * Adds bytes at the end. What arrived before the body broke stays. `TOO_LARGE` beyond the limit, of which nothing stays.
   */
  append(body: Chunks, options?: AppendOptions): Promise<void>;
  /** Ends it: its bytes become content. `DIGEST_MISMATCH` if that is not their digest; then it ends, too, and nothing is kept. */
  commit(digest: Digest, options?: CallOptions): Promise<void>;
  /** Ends it, and keeps nothing. */
  cancel(): Promise<void>;
}

/** A store that can take content from another repository without copying its bytes: a store may be this, too. */
export interface Mounts {
  /**
   * Takes content from a repository of the same registry. False if that cannot be done without copying: it is a source of
   * another kind, or on another disk. `NOT_FOUND` if that repository does not have it.
   */
  mount(digest: Digest, from: Source, options?: CallOptions): Promise<boolean>;
}

/** A source that knows URLs of its content: a source may be this, too. */
export interface Locates {
  /** Where anyone can read this content, for as long as it takes to follow a redirect; undefined for nowhere else than here. */
  locate(target: Descriptor, options?: CallOptions): Promise<string | undefined>;
}

/** A registry whose repositories can be listed: a registry may be this, too. */
export interface Catalog {
  /** Names of all repositories that have something, sorted by code point. */
  repositories(options?: CallOptions): Promise<readonly string[]>;
}

/** A registry with repositories of several registries, such as a mirror: a registry may be this, too. */
export interface Namespaces {
  /** `serve` passes on what a request names in `ns`, whatever it is: the registry refuses what it does not have. */
  readonly hasNamespaces: true;
}

export const isNamespaced = (registry: Registry): registry is Registry & Namespaces => 'hasNamespaces' in registry;
export const isStore = (source: Source): source is Store => 'push' in source && 'tag' in source;
export const isResumable = (store: Source): store is ResumableStore => isStore(store) && 'pushFrom' in store;
export const isKeeper = (store: Store): store is Store & Keeper => 'keep' in store;
export const hasSessions = (store: Store): store is Store & Sessions => 'begin' in store;
export const isOpener = (source: Source): source is Source & Opener => 'open' in source;
export const isLister = (source: Source): source is Source & Lister => 'tags' in source;
export const isDeleter = (source: Source): source is Source & Deleter => 'remove' in source && 'untag' in source;
export const hasUploads = (source: Source): source is Source & Uploads => 'beginUpload' in source;
export const canMount = (source: Source): source is Source & Mounts => 'mount' in source;
export const canLocate = (source: Source): source is Source & Locates => 'locate' in source;
export const isCatalog = (registry: Registry): registry is Registry & Catalog => 'repositories' in registry;
export const isReferrers = (source: Source): source is Source & Referrers => 'referrers' in source;

/** A registry is a function from a repository to its content: bound once, wrapped with a line. */
export type Registry = (repository: Repository) => Source;
