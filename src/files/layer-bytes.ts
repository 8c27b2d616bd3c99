import { abortError, onAbort } from '../abort.ts';
import { readAll } from '../body.ts';
import { type ByteReader, createByteReader } from '../codec/byte-reader.ts';
import { loadCodecs } from '../codec/codecs.ts';
import type { Content, PartRange } from '../content/content.ts';
import { cannot, messageOf, RegistryError, restate } from '../errors.ts';
import { bareMediaType, isNonDistributable } from '../oci/manifest.ts';
import { quote } from '../text/quote.ts';

/** First bytes of packed files. https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md */
const signatures: readonly (readonly [packing: string, signature: readonly (number | undefined)[]])[] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68, undefined, 0x31, 0x41]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
  ['zip', [0x50, 0x4b, 0x03, 0x04]],
];
const longestSignature = 6;

/** The error of a layer whose content is damaged. */
export const damagedLayer = (layer: Content, found: string, cause?: unknown): RegistryError =>
  cannot('DECODE_ERROR', `read layer ${quote(layer.descriptor.digest)}`, found, {
    value: layer.descriptor.digest,
    cause,
  });

/** The error of a missing layer, which explains when the registry is not to blame. */
function missingLayer(error: unknown, { descriptor: { digest, mediaType } }: Content): unknown {
  const isMissing = error instanceof RegistryError && error.code === 'NOT_FOUND';
  if (!isMissing || !isNonDistributable(mediaType)) return error;
  const why = `it is a layer that is not distributable, ${quote(mediaType)}, which registries need not have`;
  const { attempted = `read layer ${quote(digest)}`, found = messageOf(error) } = error;
  return restate(error, { attempted, found: `${found}; ${why}`, cause: error });
}

/** Whether a media type is that of an archive; those of artifacts may be anything. */
export const isArchiveType = (mediaType: string): boolean => /\btar\b|rootfs|layer/.test(bareMediaType(mediaType));

/** The error of bytes that are not an archive: `UNSUPPORTED` unless the media type says that they are one. */
export function notAnArchive(
  { descriptor }: Content,
  found: string,
  code?: 'UNSUPPORTED' | 'TOO_LARGE',
): RegistryError {
  const { digest, mediaType } = descriptor;
  const attempted = `read layer ${quote(digest)}`;
  if (code === 'TOO_LARGE') return cannot(code, attempted, found, { value: digest, reason: 'limit' });
  if (code || isArchiveType(mediaType)) return cannot(code ?? 'DECODE_ERROR', attempted, found, { value: digest });
  const reason = `it is not an archive of files (${found})`;
  return cannot('UNSUPPORTED', `${attempted}, ${quote(mediaType)}`, reason, { value: digest });
}

/** `UNSUPPORTED` for content that, by its media type, cannot be an archive of files. */
export function checkLayerType({ descriptor: { digest, mediaType } }: Content): void {
  const type = bareMediaType(mediaType);
  const found = type.endsWith('+encrypted') ? 'it is encrypted' : type.endsWith('json') ? 'it is JSON' : undefined;
  if (!found) return;
  throw cannot('UNSUPPORTED', `read layer ${quote(digest)}, ${quote(mediaType)}`, found, { value: digest });
}

/** The bytes of layers that were kept, as long as their layer is open. */
const kept = new WeakMap<Content, Uint8Array>();

/** Keeps the bytes of a layer in memory, so that it is fetched once. False if they are kept already. */
export async function keepBytes(layer: Content, signal: AbortSignal): Promise<boolean> {
  if (kept.has(layer)) return false;
  const bytes = await readAll(storedBytes(layer, signal), layer.descriptor.size, 'a layer', Number.POSITIVE_INFINITY);
  const isNew = !kept.has(layer);
  kept.set(layer, bytes);
  return isNew;
}

/**
 * The bytes of a content or of a range of it, as they are stored. A whole content ends only if its digest was right.
 * Fails with the signal's reason; leaving early frees the connection.
 */
export async function* storedBytes(
  content: Content,
  signal: AbortSignal,
  range?: PartRange,
): AsyncGenerator<Uint8Array, void> {
  if (signal.aborted) throw abortError(signal.reason);
  const bytes = kept.get(content);
  if (bytes) {
    yield bytes.slice(range?.start, range?.end);
    return;
  }
  const reader = content.stream(range).getReader();
  const release = onAbort(signal, (reason) => {
    reader.cancel(reason).catch(() => {});
  });
  try {
    for (;;) {
      const { value } = await reader.read();
      if (signal.aborted) throw abortError(signal.reason);
      if (!value) return;
      yield value;
    }
  } catch (error) {
    throw missingLayer(error, content);
  } finally {
    release();
    await reader.cancel(abortError('the reader left')).catch(() => {});
  }
}

/**
 * The archive that is packed in `bytes`. How it is packed is read from its first bytes, since media types of layers are
 * often wrong. `DECODE_ERROR` for damaged bytes, `UNSUPPORTED` for unknown packings.
 */
export async function* unpacked(layer: Content, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const reader = createByteReader(bytes);
  try {
    await reader.fill(longestSignature);
    const packing = packingOf(reader.read(Math.min(longestSignature, reader.available)));
    const whole = wholeOf(reader);
    if (packing === 'tar') yield* whole;
    else yield* decoded(layer, packing, whole);
  } finally {
    await reader.close();
  }
}

/** Everything from the last cut on, in pieces. */
async function* wholeOf(reader: ByteReader): AsyncGenerator<Uint8Array, void> {
  do {
    reader.read(reader.available);
    yield reader.cut();
  } while (await reader.fill(1));
}

/** Unpacks bytes; errors of decoding name the layer. */
export async function* decoded(
  layer: Content,
  packing: string,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  const decoder = (await loadCodecs())[packing];
  if (!decoder || packing === 'deflate') {
    const { digest } = layer.descriptor;
    throw cannot('UNSUPPORTED', `read layer ${quote(digest)}`, `it is packed as ${packing}`, { value: digest });
  }
  try {
    yield* decoder(bytes);
  } catch (error) {
    const isDamage = error instanceof RegistryError && error.code === 'DECODE_ERROR';
    throw isDamage && error.value !== layer.descriptor.digest ? damagedLayer(layer, messageOf(error), error) : error;
  }
}

function packingOf(head: Uint8Array): string {
  const found = signatures.find(([, signature]) =>
    signature.every((byte, index) => byte === undefined || head[index] === byte),
  );
  const isSkippable = head.length >= 4 && ((head[0] ?? 0) & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d;
  return found?.[0] ?? (isSkippable && head[3] === 0x18 ? 'zstd' : 'tar');
}
