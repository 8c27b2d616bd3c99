import { runOperation } from '../abort.ts';
import { observed } from '../combine.ts';
import type { Liars } from '../content/attempts.ts';
import { collectWarnings, type Warnings } from '../content/attempts.ts';
import { Content, manifestBytesOf } from '../content/content.ts';
import { cannot, naming } from '../errors.ts';
import type { Emit } from '../events.ts';
import { chooseImage, platformOf } from '../oci/choose-image.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Index, isIndexType, isManifestType, parseIndex } from '../oci/manifest.ts';
import type { Platform } from '../oci/platform.ts';
import { formatReference, type Reference, type Repository } from '../oci/reference.ts';
import type { Fetched, Source } from '../source.ts';
import { checkPlain } from '../text/problems.ts';
import { quote } from '../text/quote.ts';
import type { DocumentsAtHand } from './at-hand.ts';

/** How to resolve. */
export interface ResolveOptions {
  readonly signal?: AbortSignal | undefined;
  /** The content will be fetched next: it is read at once, and the `fetch` that follows makes no request. */
  readonly content?: boolean | undefined;
  /**
   * Chooses the image of an index for a platform, `linux/arm64/v8` or as a record: the one that runs best there, also from
   * nested indexes, or the only image if it does not say its platform. The indexes are read (GET). Anything but an index is
   * returned as it is; the platform in its config is not checked (`pull` does).
   *
   * Default: what the reference names, even if it is an index. `NOT_FOUND` without an image for the platform, with a list of
   * the platforms that exist; `INVALID_REFERENCE` for an invalid platform, before any request.
   */
  readonly platform?: string | Platform | undefined;
}

/** What a tag or digest names. */
export interface Resolved {
  /** With `platform` that of the image, as the index has it. */
  readonly descriptor: Descriptor;
  /** The `Warning` headers of hosts, without duplicates. */
  readonly warnings: readonly string[];
}

/** What resolving needs of a client. */
export interface ResolveContext {
  readonly emit: Emit;
  readonly liars: Liars;
  /** Fires when the client is closed. */
  readonly closing: AbortSignal;
  /** Milliseconds. */
  readonly operation?: number | undefined;
  /** Milliseconds before a reading's second reopening in a row that brings too little. */
  readonly backoff?: number | undefined;
  readonly documents: DocumentsAtHand;
  /** Most bytes of a manifest. */
  readonly manifestBytes: number;
}

/** What a reference names, or its image for a platform, within the time limit of one operation. */
export async function resolveReference(
  reference: Reference,
  options: ResolveOptions | undefined,
  context: ResolveContext & {
    readonly fetcherOf: (repository: Repository) => { readonly source: Source };
    /** The reference as it was given, for messages; in full if only its parts were. */
    readonly label?: string | undefined;
  },
): Promise<Resolved> {
  checkPlain('resolve', options);
  const { signal, content, platform } = options ?? {};
  const { registry, name, tag = 'latest', digest = tag } = reference;
  const { fetcherOf, closing, operation, emit, label = formatReference(reference) } = context;
  const repository = { registry, name };
  const wanted = platform === undefined ? undefined : platformOf(platform);
  const attempted = `resolve ${quote(label)}`;
  const { source } = fetcherOf(repository);
  return runOperation(attempted, { signals: [signal, closing], operation }, async (call) => {
    const warned = collectWarnings(emit);
    // With a platform it is usually an index, so it is read at once.
    const reading = { ...call, content: content || wanted !== undefined, onWarning: warned.add };
    const named = await source.resolve(digest, reading);
    if (!wanted || !isIndexType(named.mediaType)) return { descriptor: named, warnings: warned.texts() };
    const read = createReader({ ...context, source, repository, signal: call.signal, warned });
    const descriptor = await chooseImage(named, wanted, { label, read: readIndexes(label, read) });
    if (content && descriptor.data === undefined && isManifestType(descriptor.mediaType)) await read(descriptor);
    return { descriptor, warnings: warned.texts() };
  }).catch((thrown: unknown) => {
    throw naming(thrown, { verb: 'resolve', reference: label, part: digest });
  });
}

type ReadDocument = (descriptor: Descriptor) => Promise<Uint8Array>;

/** Most indexes that are read, and most bytes of all of them. */
const most = { indexes: 1_000, bytes: 67_108_864 };

function readIndexes(label: string, read: ReadDocument): (descriptor: Descriptor) => Promise<Index> {
  const seen = { indexes: 0, bytes: 0 };
  return async (descriptor) => {
    seen.indexes += 1;
    seen.bytes += descriptor.size;
    if (seen.indexes > most.indexes || seen.bytes > most.bytes) {
      const found = `more than ${most.indexes}, or more than ${most.bytes} bytes`;
      throw cannot('TOO_LARGE', `read the indexes of ${quote(label)}`, found, {
        reason: 'limit',
        value: label,
        reference: label,
      });
    }
    return parseIndex(await read(descriptor), descriptor.mediaType);
  };
}

interface ReaderOptions extends Pick<ResolveContext, 'emit' | 'liars' | 'backoff' | 'documents' | 'manifestBytes'> {
  readonly repository: Repository;
  readonly source: Source;
  readonly signal: AbortSignal | undefined;
  readonly warned: Warnings;
}

/** Reads manifests and indexes, verified; they stay at hand for the `fetch` that follows. */
function createReader({
  repository,
  source,
  signal,
  documents,
  manifestBytes,
  ...shared
}: ReaderOptions): ReadDocument {
  return async (descriptor) => {
    const noted: { last?: Fetched } = {};
    const noteLast = (fetched: Fetched): void => {
      noted.last = fetched;
    };
    await using content = new Content({ ...shared, source: observed(source, noteLast), descriptor, signals: [signal] });
    const bytes = await manifestBytesOf(content, manifestBytes);
    const { endpoint, request } = noted.last ?? {};
    if (endpoint && request !== undefined) documents.put(repository, descriptor.digest, { bytes, endpoint, request });
    return bytes;
  };
}
