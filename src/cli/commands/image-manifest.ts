import {
  type Client,
  type Descriptor,
  isIndexType,
  isManifestType,
  machinePlatform,
  type Platform,
  type Reference,
  RegistryError,
} from '../../index.ts';

/** A manifest or index that was read and verified. */
export interface Document {
  readonly reference: Reference;
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

export interface DocumentRequest {
  readonly client: Client;
  /** A reference, as it was written. */
  readonly text: string;
  readonly signal: AbortSignal | undefined;
}

/** Most bytes of a manifest or an image configuration. What a reference names is also within `limits.manifestBytes`. */
const mostBytes = 67_108_864;

/** The manifest or index that a reference names; with a platform, `linux/arm64`, the manifest for it from an index. */
export async function readDocument(request: DocumentRequest, platform?: string | Platform): Promise<Document> {
  const { client, text, signal } = request;
  const { reference, descriptor } = await client.resolve(text, { content: true, platform, signal });
  checkIsManifest(reference, descriptor);
  return { reference, descriptor, bytes: await readBytes(request, reference, descriptor) };
}

/** A digest may also name a blob: a layer, an image configuration. A tag names only manifests, also those of other artifacts. */
export function checkIsManifest(reference: Reference, { digest, mediaType }: Descriptor): void {
  if (reference.digest === undefined || isManifestType(mediaType) || isIndexType(mediaType)) return;
  if (/\b(?:manifest|index)\b/.test(mediaType)) return;
  const details = { value: digest, reason: 'not-a-manifest' } as const;
  throw new RegistryError('BAD_RESPONSE', `Cannot read manifest "${digest}": it is a blob, not a manifest`, details);
}

/** A document to print with `--json`. `what` is `config` or `manifest`. */
export function parsedJson(what: string, bytes: Uint8Array, { digest }: Descriptor): unknown {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    // Writing recurses, reading does not.
    JSON.stringify(value, undefined, 2);
    return value;
  } catch (cause) {
    const found = cause instanceof RangeError ? 'it is nested too deeply' : 'it is not JSON';
    throw new RegistryError('BAD_RESPONSE', `Cannot print ${what} "${digest}" with --json: ${found}`, { cause });
  }
}

/** As `readDocument`, by default for the platform of this machine. */
export const readImage = (request: DocumentRequest, platform: string | undefined): Promise<Document> =>
  readDocument(request, platform ?? machinePlatform());

export async function readBytes(
  { client, signal }: DocumentRequest,
  { registry, name }: Reference,
  descriptor: Descriptor,
): Promise<Uint8Array> {
  await using content = await client.fetcher({ registry, name }).fetch(descriptor, { signal });
  return await content.bytes({ limit: mostBytes });
}
