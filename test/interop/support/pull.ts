import {
  type Client,
  type Content,
  createClient,
  type Descriptor,
  isIndexType,
  parseIndex,
  parseManifest,
} from 'ocifetch';
import type { Cleanup } from './cleanup.ts';

export interface Pulled {
  /** The manifest or index that the reference names. */
  readonly manifest: Uint8Array;
  /** Everything below it, by digest. */
  readonly content: Map<string, Uint8Array>;
}

/** `host/name` of `host/name:tag` and `host/name@digest`. */
const repositoryOf = (reference: string): string => reference.replace(/(?:@.*|:[^:/]*)$/, '');

async function verifiedBytes(content: Content): Promise<Uint8Array> {
  try {
    const bytes = await content.bytes();
    if (!content.verified) throw new Error(`Cannot trust "${content.descriptor.digest}": read, but not verified`);
    return bytes;
  } finally {
    await content.close();
  }
}

/** Pulls all a reference names through the public API: index, manifests, configs and layers, each once. */
export async function pullAll(client: Client, reference: string): Promise<Pulled> {
  const { descriptor } = await client.resolve(reference, { content: true });
  const fetcher = client.fetcher(repositoryOf(reference));
  const bytesOf = async (target: Descriptor): Promise<Uint8Array> => verifiedBytes(await fetcher.fetch(target));
  const content = new Map<string, Uint8Array>();
  const addImage = async (bytes: Uint8Array, mediaType: string): Promise<void> => {
    const { config, layers } = parseManifest(bytes, mediaType);
    for (const blob of [config, ...layers]) {
      if (!content.has(blob.digest)) content.set(blob.digest, await bytesOf(blob));
    }
  };
  const manifest = await bytesOf(descriptor);
  if (isIndexType(descriptor.mediaType)) {
    for (const image of parseIndex(manifest, descriptor.mediaType).manifests) {
      const bytes = await bytesOf(image);
      content.set(image.digest, bytes);
      await addImage(bytes, image.mediaType);
    }
  } else {
    await addImage(manifest, descriptor.mediaType);
  }
  return { manifest, content };
}

/** A client that the suite closes. */
export function openClient(cleanup: Cleanup, options: Parameters<typeof createClient>[0]): Client {
  const client = createClient(options);
  cleanup.add(() => client.close());
  return client;
}

/** The differences between two pulls of one image, in words; empty if they are the same, byte for byte. */
export function differences(pulled: Pulled, expected: Pulled): string[] {
  const digests = [...new Set([...pulled.content.keys(), ...expected.content.keys()])].sort();
  const empty = new Uint8Array();
  const differing = digests.flatMap((digest) => {
    if (!expected.content.has(digest)) return [`${digest} was not expected`];
    if (!pulled.content.has(digest)) return [`${digest} was not pulled`];
    const same = Buffer.compare(pulled.content.get(digest) ?? empty, expected.content.get(digest) ?? empty) === 0;
    return same ? [] : [`${digest} has other bytes`];
  });
  const manifests = Buffer.compare(pulled.manifest, expected.manifest) === 0 ? [] : ['the manifest has other bytes'];
  return [...manifests, ...differing];
}
