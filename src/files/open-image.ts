import type { Content } from '../content/content.ts';
import { RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { machinePlatform } from '../oci/machine.ts';
import { type Index, type Manifest, parseDocument } from '../oci/manifest.ts';
import { type Platform, parsePlatform } from '../oci/platform.ts';
import { quote } from '../oci/quote.ts';
import { formatReference, type Reference, type Repository } from '../oci/reference.ts';
import { isAttestation, noPlatformError, selectPlatform } from '../oci/select-platform.ts';
import { createImageFiles, type ImageFiles } from './image-files.ts';

/** Which image's files, and how to read them. */
export interface ImageFilesChoice {
  /** Ends every reading of the files, too. */
  readonly signal?: AbortSignal | undefined;
  /** Of the image: `linux/arm64/v8`, or as a record. Default: this machine's. */
  readonly platform?: string | Platform | undefined;
  /** As `FilesOptions.unindexed`. */
  readonly unindexed?: boolean | undefined;
}

/** Where an image is read from. */
export interface ImageSource {
  resolve(
    reference: string,
    options: { readonly signal?: AbortSignal | undefined; readonly content: true },
  ): Promise<{ readonly descriptor: Descriptor }>;
  fetch(descriptor: Descriptor, options: { readonly signal?: AbortSignal | undefined }): Promise<Content>;
}

/** Most indexes on the way to an image. */
const deepest = 8;

/** What `client.files` hands on. */
export interface ImageFilesContext {
  readonly fetcherOf: (repository: Repository) => ImageSource;
  readonly emit: Emit;
}

/** The files of the image that a reference names, or of the one for the platform, out of an index. */
export async function openImage(
  reference: Reference,
  options: ImageFilesChoice = {},
  { fetcherOf, emit }: ImageFilesContext,
): Promise<ImageFiles> {
  const { signal, platform, unindexed } = options;
  const { registry, name, tag = 'latest', digest = tag } = reference;
  const wanted = typeof platform === 'string' ? parsePlatform(platform) : (platform ?? machinePlatform());
  const source = fetcherOf({ registry, name });
  const onWarning = (text: string): void => emit({ type: 'warning', text });
  let { descriptor } = await source.resolve(digest, { signal, content: true });
  for (let depth = 0; depth <= deepest; depth++) {
    const document = await readDocument(source, descriptor, signal);
    if (!('manifests' in document)) {
      const layers = await Promise.all(document.layers.map((layer) => source.fetch(layer, { signal })));
      return createImageFiles({ descriptor, layers, signal, unindexed, onWarning });
    }
    descriptor = choose(document, wanted, formatReference(reference));
  }
  const found = `more than ${deepest} indexes in each other`;
  throw new RegistryError('UNSUPPORTED', `Cannot read the files of ${quote(formatReference(reference))}: ${found}`);
}

async function readDocument(
  source: ImageSource,
  descriptor: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Manifest | Index> {
  const content = await source.fetch(descriptor, { signal });
  try {
    return parseDocument(await content.bytes({ limit: 4 * 1_048_576 }), descriptor.mediaType);
  } finally {
    await content.close();
  }
}

/** What fits best; the only one there is, where it does not say for what it is. */
function choose({ manifests }: Index, wanted: Platform, reference: string): Descriptor {
  const images = manifests.filter((manifest) => !isAttestation(manifest));
  const [only] = images;
  const chosen = selectPlatform(images, wanted) ?? (images.length === 1 && !only?.platform ? only : undefined);
  if (chosen) return chosen;
  const offered = images.flatMap(({ platform }) => (platform ? [platform] : []));
  throw noPlatformError(reference, wanted, offered);
}
