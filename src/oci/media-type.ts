/** The media types that this package knows by name. */
export const mediaTypes = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociEmpty: 'application/vnd.oci.empty.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  octets: 'application/octet-stream',
} as const;

const indexTypes: ReadonlySet<string> = new Set([mediaTypes.ociIndex, mediaTypes.dockerList]);
const manifestTypes: ReadonlySet<string> = new Set([mediaTypes.ociManifest, mediaTypes.dockerManifest]);

/** What a request for a manifest accepts: one value, as several registries read only the first of several headers. */
export const manifestAccept: string = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerList,
  mediaTypes.dockerManifest,
  '*/*',
].join(', ');

/** A media type without its parameters, in lower case: what a `Content-Type` header names. */
export const bareMediaType = (mediaType: string): string => (mediaType.split(';')[0] ?? '').trim().toLowerCase();

/** OCI manifest or Docker manifest, version 2. */
export const isManifestType = (mediaType: string): boolean => manifestTypes.has(bareMediaType(mediaType));

/** OCI index or Docker manifest list. */
export const isIndexType = (mediaType: string): boolean => indexTypes.has(bareMediaType(mediaType));

/** Docker's first manifest format, which this package does not read. */
export const isSchema1 = (mediaType: string): boolean =>
  /^application\/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)$/.test(bareMediaType(mediaType));

/** Which endpoint of a registry has content of this type. */
export const kindOf = (mediaType: string): 'manifests' | 'blobs' =>
  isManifestType(mediaType) || isIndexType(mediaType) || isSchema1(mediaType) ? 'manifests' : 'blobs';
