import type { Descriptor } from '../oci/descriptor.ts';
import { digestOf } from '../oci/digest.ts';
import { mediaTypes } from '../oci/manifest.ts';
import { parsePlatform } from '../oci/platform.ts';
import { archiveOf, compress, isBytes, type TestCompression, type TestFiles } from './archive.ts';

/** A layer, or a blob of an artifact: an archive of files, or bytes as they are. */
export interface TestLayer {
  readonly files?: TestFiles | undefined;
  /** In place of `files`. */
  readonly bytes?: string | Uint8Array | undefined;
  /** Of `files`. Default: that of the image. */
  readonly compression?: TestCompression | undefined;
  /** Default: that of an archive so compressed; `application/octet-stream` for bytes. */
  readonly mediaType?: string | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** What is in an image. */
export interface TestImageContent {
  /** The files of an image of one layer. */
  readonly files?: TestFiles | undefined;
  /** In place of `files`: the lowest first. */
  readonly layers?: readonly TestLayer[] | undefined;
  /** Default: `gzip`. */
  readonly compression?: TestCompression | undefined;
  /** Fields of the config in addition to the platform and `rootfs`, or in their place. */
  readonly config?: Readonly<Record<string, unknown>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** An image or artifact. Its digests depend on nothing but this description. */
export interface TestImage extends TestImageContent {
  /**
   * `['linux/amd64', 'linux/arm64']`, or what is different for each platform: an index of one image each, which then has the
   * `annotations` of `TestImage`. Default: one image for linux/amd64 without an index.
   */
  readonly platforms?: readonly string[] | Readonly<Record<string, TestImageContent>> | undefined;
  /** Tags besides that of the name. */
  readonly tags?: readonly string[] | undefined;
  /** It has no tag: what is behind `:` in its name only names it here, as a signature or SBOM that refers to another image. */
  readonly untagged?: true | undefined;
  /** Whose media types. Default: `oci`. */
  readonly format?: 'oci' | 'docker' | undefined;
  /** Makes it an artifact of this type, with an empty config. */
  readonly artifactType?: string | undefined;
  /** Name of an image described before this one, in the same repository, to which this one refers. */
  readonly subject?: string | undefined;
}

/** Content with its descriptor. */
export interface TestContent {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** A manifest with what it names. */
export interface TestManifest extends TestContent {
  readonly config: TestContent;
  readonly layers: readonly TestContent[];
}

/** An image as it is in the registry. */
export interface BuiltImage extends TestContent {
  /** With the host and port of the registry, and the first tag, or the digest if there is none. */
  readonly reference: string;
  readonly repository: string;
  readonly tags: readonly string[];
  /** One for each platform; without `platforms`, one. */
  readonly manifests: readonly TestManifest[];
  /** Those of all manifests, each once. */
  readonly layers: readonly TestContent[];
}

/** An image before it is in a registry. */
export type ImageContents = Pick<BuiltImage, 'descriptor' | 'bytes' | 'manifests' | 'layers'>;

const types = {
  oci: {
    index: mediaTypes.ociIndex,
    manifest: mediaTypes.ociManifest,
    config: mediaTypes.ociConfig,
    layer: { none: mediaTypes.ociLayer, gzip: mediaTypes.ociLayerGzip, zstd: mediaTypes.ociLayerZstd },
  },
  docker: {
    index: mediaTypes.dockerList,
    manifest: mediaTypes.dockerManifest,
    config: mediaTypes.dockerConfig,
    layer: {
      none: 'application/vnd.docker.image.rootfs.diff.tar',
      gzip: mediaTypes.dockerLayerGzip,
      zstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
    },
  },
} as const;

const encoder = new TextEncoder();

function contentOf(mediaType: string, value: Uint8Array | object, more: Partial<Descriptor> = {}): TestContent {
  const bytes = isBytes(value) ? value : encoder.encode(JSON.stringify(value));
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length, ...more }, bytes };
}

/** The content of an image. `subject` is what it refers to. */
export function buildImage(image: TestImage, subject?: Descriptor): ImageContents {
  const { platforms, format = 'oci', annotations, artifactType } = image;
  if (platforms === undefined) {
    const manifest = manifestOf(image, image, 'linux/amd64', subject);
    return { ...manifest, manifests: [manifest] };
  }
  const { annotations: _, ...shared } = image;
  const parts: readonly (readonly [string, TestImageContent])[] = Array.isArray(platforms)
    ? platforms.map((platform: string) => [platform, {}])
    : Object.entries(platforms);
  const manifests = parts.map(([platform, part]) =>
    manifestOf(image, { ...shared, ...(part.files && { layers: undefined }), ...part }, platform),
  );
  const index = {
    schemaVersion: 2,
    mediaType: types[format].index,
    artifactType,
    manifests: manifests.map(({ descriptor }) => descriptor),
    subject,
    annotations,
  };
  const layers = new Map(manifests.flatMap((one) => one.layers.map((layer) => [layer.descriptor.digest, layer])));
  return { ...contentOf(types[format].index, index), manifests, layers: [...layers.values()] };
}

function manifestOf(
  { format = 'oci', artifactType, platforms }: TestImage,
  content: TestImageContent,
  platformText: string,
  subject?: Descriptor,
): TestManifest {
  const { compression = 'gzip', files, layers: described = files ? [{ files }] : [], annotations } = content;
  const type = types[format];
  const built = described.map((layer) => layerOf(layer, layer.compression ?? compression, type.layer));
  const platform = parsePlatform(platformText);
  const isImage = artifactType === undefined;
  const rootfs = { type: 'layers', diff_ids: built.map(({ diffId }) => diffId) };
  const config = isImage
    ? contentOf(type.config, { ...platform, config: {}, rootfs, ...content.config })
    : contentOf(mediaTypes.ociEmpty, content.config ?? {});
  const layers = built.map(({ layer }) => layer);
  const document = {
    schemaVersion: 2,
    mediaType: type.manifest,
    artifactType,
    config: config.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
    subject,
    annotations,
  };
  return { ...contentOf(type.manifest, document, platforms && { platform }), config, layers };
}

function layerOf(
  { files, bytes = '', mediaType, annotations }: TestLayer,
  compression: TestCompression,
  layerTypes: Readonly<Record<TestCompression, string>>,
): { readonly layer: TestContent; readonly diffId: string } {
  const plain = files ? archiveOf(files) : typeof bytes === 'string' ? encoder.encode(bytes) : bytes;
  const type = mediaType ?? (files ? layerTypes[compression] : mediaTypes.octets);
  const kept = files ? compress(plain, compression) : plain;
  return { layer: contentOf(type, kept, annotations && { annotations }), diffId: digestOf(plain) };
}
