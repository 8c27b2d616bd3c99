import type { Content } from '../content/content.ts';
import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { machinePlatform } from '../oci/machine.ts';
import { parseManifest } from '../oci/manifest.ts';
import type { Platform } from '../oci/platform.ts';
import type { Reference, Repository } from '../oci/reference.ts';
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

/** What `client.files` hands on. */
export interface ImageFilesContext {
  /** The image of a reference for a platform; its manifest is fetched next. */
  readonly resolve: (
    reference: Reference,
    options: ResolveImageOptions,
  ) => Promise<{ readonly descriptor: Descriptor }>;
  readonly fetcherOf: (repository: Repository) => ImageSource;
  readonly emit: Emit;
  readonly manifestBytes: number;
}

export interface ResolveImageOptions {
  readonly signal?: AbortSignal | undefined;
  readonly platform: string | Platform;
  readonly content: true;
}

/** Where an image is read from. */
export interface ImageSource {
  fetch(descriptor: Descriptor, options: { readonly signal?: AbortSignal | undefined }): Promise<Content>;
}

/** The files of the image that a reference names, or of the one for the platform, out of an index. */
export async function openImage(
  reference: Reference,
  { signal, platform = machinePlatform(), unindexed }: ImageFilesChoice = {},
  { resolve, fetcherOf, emit, manifestBytes }: ImageFilesContext,
): Promise<ImageFiles> {
  const { registry, name } = reference;
  const onWarning = (text: string): void => emit({ type: 'warning', text });
  const { descriptor } = await resolve(reference, { signal, platform, content: true });
  const source = fetcherOf({ registry, name });
  await using manifest = await source.fetch(descriptor, { signal });
  const document = parseManifest(await manifest.bytes({ limit: manifestBytes }), descriptor.mediaType);
  const layers = await Promise.all(document.layers.map((layer) => source.fetch(layer, { signal })));
  return createImageFiles({ descriptor, layers, signal, unindexed, onWarning });
}
