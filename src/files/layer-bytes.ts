import { abortError, onAbort } from '../abort.ts';
import { join } from '../body.ts';
import { loadCodecs } from '../codec/codecs.ts';
import type { Content, PartRange } from '../content/content.ts';
import { cannot, messageOf, RegistryError, restate } from '../errors.ts';
import { bareMediaType, isNonDistributable } from '../oci/manifest.ts';
import { quote } from '../text/quote.ts';

/** Beginnings of packed files. https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md */
const beginnings: readonly (readonly [packing: string, beginning: readonly (number | undefined)[]])[] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68, undefined, 0x31, 0x41]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
  ['zip', [0x50, 0x4b, 0x03, 0x04]],
];

/** The error of a layer that is not what it should be. */
export const damagedLayer = (layer: Content, found: string, cause?: unknown): RegistryError =>
  cannot('DECODE_ERROR', `read layer ${quote(layer.descriptor.digest)}`, found, {
    value: layer.descriptor.digest,
    cause,
  });

/** The error of a layer that is not there, which says so where that is no fault of the registry. */
function missingLayer(error: unknown, { descriptor: { digest, mediaType } }: Content): unknown {
  const isMissing = error instanceof RegistryError && error.code === 'NOT_FOUND';
  if (!isMissing || !isNonDistributable(mediaType)) return error;
  const why = `it is a layer that is not distributable, ${quote(mediaType)}, which registries need not have`;
  const { attempted = `read layer ${quote(digest)}`, found = messageOf(error) } = error;
  return restate(error, { attempted, found: `${found}; ${why}`, cause: error });
}

/** Media types of archives; those of artifacts may be anything. */
const isOfArchive = (mediaType: string): boolean => /\btar\b|rootfs|layer/.test(bareMediaType(mediaType));

/** The error of a layer whose bytes are no archive: `UNSUPPORTED` where its media type does not say that it is one. */
export function noArchive({ descriptor }: Content, found: string, code?: 'UNSUPPORTED'): RegistryError {
  const { digest, mediaType } = descriptor;
  const attempted = `read layer ${quote(digest)}`;
  if (code || isOfArchive(mediaType)) return cannot(code ?? 'DECODE_ERROR', attempted, found);
  return cannot('UNSUPPORTED', `${attempted}, ${quote(mediaType)}`, `it is no archive of files (${found})`);
}

/** Refuses content that cannot be an archive of files: `UNSUPPORTED`. */
export function mustBeLayer({ descriptor: { digest, mediaType } }: Content): void {
  const type = bareMediaType(mediaType);
  const found = type.endsWith('+encrypted') ? 'it is encrypted' : type.endsWith('json') ? 'it is JSON' : undefined;
  if (!found) return;
  throw cannot('UNSUPPORTED', `read layer ${quote(digest)}, ${quote(mediaType)}`, found);
}

/**
 * Bytes of a content as they are stored, of its whole or a range. The whole ends only when its digest was right. Ends
 * with the signal's reason, and frees the connection when it is left.
 */
export async function* storedBytes(
  content: Content,
  signal: AbortSignal,
  range?: PartRange,
): AsyncGenerator<Uint8Array, void> {
  if (signal.aborted) throw abortError(signal.reason);
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
 * The archive that is packed in `bytes`. Its first bytes say how: media types of layers often lie. `DECODE_ERROR` for
 * damaged bytes, `UNSUPPORTED` for packings that are not known.
 */
export async function* unpacked(layer: Content, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const iterator = bytes[Symbol.asyncIterator]();
  try {
    const head = await firstBytes(iterator);
    const packing = packingOf(head);
    const all = following(head, iterator);
    if (packing === 'tar') yield* all;
    else yield* decoded(layer, packing, all);
  } finally {
    await iterator.return?.();
  }
}

/** Takes the packing off; errors of decoding name the layer. */
export async function* decoded(
  layer: Content,
  packing: string,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  const decoder = (await loadCodecs())[packing];
  if (!decoder || packing === 'deflate') {
    const { digest } = layer.descriptor;
    throw cannot('UNSUPPORTED', `read layer ${quote(digest)}`, `it is packed as ${packing}`);
  }
  try {
    yield* decoder(bytes);
  } catch (error) {
    const isDamage = error instanceof RegistryError && error.code === 'DECODE_ERROR';
    throw isDamage && error.value !== layer.descriptor.digest ? damagedLayer(layer, messageOf(error), error) : error;
  }
}

function packingOf(head: Uint8Array): string {
  const found = beginnings.find(([, beginning]) =>
    beginning.every((byte, index) => byte === undefined || head[index] === byte),
  );
  const isSkippable = head.length >= 4 && ((head[0] ?? 0) & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d;
  return found?.[0] ?? (isSkippable && head[3] === 0x18 ? 'zstd' : 'tar');
}

async function firstBytes(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size < 6) {
    const { value, done } = await iterator.next();
    if (done) break;
    chunks.push(value);
    size += value.length;
  }
  return join(chunks, size);
}

async function* following(head: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  yield head;
  for (;;) {
    const { value, done } = await iterator.next();
    if (done) return;
    yield value;
  }
}
