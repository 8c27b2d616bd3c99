import { Content } from '../content/content.ts';
import type { Liars } from '../content/liars.ts';
import { noting } from '../content/noting.ts';
import { collectWarnings, type Warnings } from '../content/warnings.ts';
import { cannot } from '../errors.ts';
import type { Emit } from '../events.ts';
import { chooseImage, platformOf } from '../oci/choose-image.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Index, isIndexType, isManifestType, parseIndex } from '../oci/manifest.ts';
import type { Platform } from '../oci/platform.ts';
import { formatReference, type Reference, type Repository } from '../oci/reference.ts';
import type { Fetched, Source } from '../source.ts';
import { quote } from '../text/quote.ts';
import type { DocumentsAtHand } from './at-hand.ts';
import { during } from './during.ts';

/** How to resolve. */
export interface ResolveOptions {
  readonly signal?: AbortSignal | undefined;
  /** The content is wanted next: it is read at once, and the `fetch` that follows makes no request. */
  readonly content?: boolean | undefined;
  /**
   * Of an index the image for a platform, `linux/arm64/v8` or as a record: what runs best there, also out of indexes in
   * the index, or the only image there is where that does not say what it is for. The indexes are read (GET). What is no
   * index is given as it is; whether its config says another platform is not looked at (`pull` does).
   *
   * Default: what the reference names, be it an index. `NOT_FOUND` where there is no image for the platform, listing those
   * that there are; `INVALID_REFERENCE` for what is no platform, before any request.
   */
  readonly platform?: string | Platform | undefined;
}

/** What a tag or digest names. */
export interface Resolved {
  /** With `platform` the image's, out of an index as the index has it. */
  readonly descriptor: Descriptor;
  /** What hosts wished their users to be told, each once. */
  readonly warnings: readonly string[];
}

/** What a client knows when something is resolved. */
export interface ResolveContext {
  readonly emit: Emit;
  readonly liars: Liars;
  /** Fires when the client is closed. */
  readonly closing: AbortSignal;
  /** Milliseconds. */
  readonly operation?: number | undefined;
  readonly documents: DocumentsAtHand;
  /** Most bytes of a manifest. */
  readonly manifestBytes: number;
}

/** What a reference names, or the image of it for a platform: all in the time of one operation. */
export async function resolveReference(
  reference: Reference,
  { signal, content, platform }: ResolveOptions = {},
  context: ResolveContext & { readonly fetcherOf: (repository: Repository) => { readonly source: Source } },
): Promise<Resolved> {
  const { registry, name, tag = 'latest', digest = tag } = reference;
  const { fetcherOf, closing, operation, emit } = context;
  const repository = { registry, name };
  const wanted = platform === undefined ? undefined : platformOf(platform);
  const attempted = `resolve ${quote(formatReference(repository))}`;
  const { source } = fetcherOf(repository);
  return during(attempted, [signal, closing], operation, async (call) => {
    const warned = collectWarnings(emit);
    // What is asked for a platform of is an index as a rule, so it is read at once.
    const asked = { ...call, content: content || wanted !== undefined, onWarning: warned.add };
    const named = await source.resolve(digest, asked);
    if (!wanted || !isIndexType(named.mediaType)) return { descriptor: named, warnings: warned.texts() };
    const read = createReader({ ...context, source, repository, signal: call.signal, warned });
    const label = formatReference(reference);
    const descriptor = await chooseImage(named, wanted, { label, read: readIndexes(label, read) });
    if (content && descriptor.data === undefined && isManifestType(descriptor.mediaType)) await read(descriptor);
    return { descriptor, warnings: warned.texts() };
  });
}

type ReadDocument = (descriptor: Descriptor) => Promise<Uint8Array>;

/** Most indexes of a search, and most bytes of all of them. */
const most = { indexes: 1_000, bytes: 67_108_864 };

function readIndexes(label: string, read: ReadDocument): (descriptor: Descriptor) => Promise<Index> {
  const seen = { indexes: 0, bytes: 0 };
  return async (descriptor) => {
    seen.indexes += 1;
    seen.bytes += descriptor.size;
    if (seen.indexes > most.indexes || seen.bytes > most.bytes) {
      const found = `more than ${most.indexes}, or than ${most.bytes} bytes of them`;
      throw cannot('TOO_LARGE', `read the indexes of ${quote(label)}`, found);
    }
    return parseIndex(await read(descriptor), descriptor.mediaType);
  };
}

interface ReaderOptions extends Pick<ResolveContext, 'emit' | 'liars' | 'documents' | 'manifestBytes'> {
  readonly repository: Repository;
  readonly source: Source;
  readonly signal: AbortSignal | undefined;
  readonly warned: Warnings;
}

/** Manifests and indexes, verified, and kept for the `fetch` that follows. */
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
    await using content = new Content({ ...shared, source: noting(source, noteLast), descriptor, signals: [signal] });
    const bytes = await content.bytes({ limit: manifestBytes });
    const { endpoint, request } = noted.last ?? {};
    if (endpoint && request !== undefined) documents.put(repository, descriptor.digest, { bytes, endpoint, request });
    return bytes;
  };
}
