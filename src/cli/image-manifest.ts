import {
  type Client,
  type Descriptor,
  isIndexType,
  isManifestType,
  machinePlatform,
  type Platform,
  type Reference,
  RegistryError,
} from '../index.ts';

/** A manifest or index that was read and is right. */
export interface Document {
  readonly reference: Reference;
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

export interface Reading {
  readonly client: Client;
  /** What is read: a reference as it was written. */
  readonly text: string;
  readonly signal: AbortSignal | undefined;
}

/** Most bytes of a manifest or an image configuration. */
const mostBytes = 4_194_304;

/** What a reference names, as it is there; of an index with a platform, `linux/arm64`, the manifest for it. */
export async function readNamed(reading: Reading, platform?: string | Platform): Promise<Document> {
  const { client, text, signal } = reading;
  const { reference, descriptor } = await client.resolve(text, { content: true, platform, signal });
  mustBeManifest(descriptor);
  return { reference, descriptor, bytes: await readBytes(reading, reference, descriptor) };
}

/** A digest may also name a blob: a layer, an image configuration. */
export function mustBeManifest({ digest, mediaType }: Descriptor): void {
  if (isManifestType(mediaType) || isIndexType(mediaType)) return;
  throw new RegistryError('BAD_RESPONSE', `Cannot read manifest "${digest}": it is a blob, no manifest`);
}

/** What is printed with `--json`; `what` is `config`. */
export function parsedJson(what: string, bytes: Uint8Array, { digest }: Descriptor): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new RegistryError('BAD_RESPONSE', `Cannot print ${what} "${digest}" with --json: it is no JSON`, { cause });
  }
}

/** As `readNamed`, of an index for this machine where no platform is given. */
export const readImage = (reading: Reading, platform: string | undefined): Promise<Document> =>
  readNamed(reading, platform ?? machinePlatform());

export async function readBytes(
  { client, signal }: Reading,
  { registry, name }: Reference,
  descriptor: Descriptor,
): Promise<Uint8Array> {
  await using content = await client.fetcher({ registry, name }).fetch(descriptor, { signal });
  return await content.bytes({ limit: mostBytes });
}
