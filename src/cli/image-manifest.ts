import {
  type Client,
  type Descriptor,
  formatPlatform,
  formatReference,
  isIndexType,
  machinePlatform,
  type Platform,
  parseIndex,
  parsePlatform,
  type Reference,
  RegistryError,
  selectPlatform,
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
const mostIndexes = 16;

/** What a reference names, as it is there. */
export async function readNamed({ client, text, signal }: Reading): Promise<Document> {
  const { reference, descriptor } = await client.resolve(text, { content: true, signal });
  return { reference, descriptor, bytes: await readBytes({ client, text, signal }, reference, descriptor) };
}

export async function readBytes(
  { client, signal }: Reading,
  { registry, name }: Reference,
  descriptor: Descriptor,
): Promise<Uint8Array> {
  await using content = await client.fetcher({ registry, name }).fetch(descriptor, { signal });
  return await content.bytes({ limit: mostBytes });
}

/** Of an index the manifest of a platform, `linux/arm64`, or of this machine; anything else as it is. */
export async function readImage(reading: Reading, platform: string | undefined): Promise<Document> {
  const wanted = platform === undefined ? machinePlatform() : parsePlatform(platform);
  const named = await readNamed(reading);
  if (!isIndexType(named.descriptor.mediaType)) return named;
  const offered: Platform[] = [];
  const indexes = [named];
  for (let at = 0; at < indexes.length && at < mostIndexes; at++) {
    const index = indexes[at] ?? named;
    const { manifests } = parseIndex(index.bytes, index.descriptor.mediaType);
    const read = async (descriptor: Descriptor): Promise<Document> => ({
      ...named,
      descriptor,
      bytes: await readBytes(reading, named.reference, descriptor),
    });
    const chosen = selectPlatform(manifests, wanted);
    if (chosen && !isIndexType(chosen.mediaType)) return read(chosen);
    const inner = chosen ? [chosen] : manifests.filter(({ mediaType }) => isIndexType(mediaType));
    for (const one of inner) indexes.push(await read(one));
    offered.push(...manifests.flatMap((one) => (one.platform && one.platform.os !== 'unknown' ? [one.platform] : [])));
  }
  const texts = [...new Set(offered.map(formatPlatform))].sort();
  const found = texts.length === 0 ? 'its index names no platforms' : `there are ${texts.join(', ')}`;
  const doing = `Cannot choose an image of "${formatReference(named.reference)}" for ${formatPlatform(wanted)}`;
  throw new RegistryError('NOT_FOUND', `${doing}: ${found}`);
}
