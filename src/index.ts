export { bytesBody, type Meter } from './body.ts';
export type { CachedOptions } from './cached/cached.ts';
export type { Codecs, DecodeOptions, Decoder } from './codec/codec.ts';
export { loadCodecs } from './codec/codecs.ts';
export { portableCodecs } from './codec/portable.ts';
export { firstOf } from './combine.ts';
export { type ConfigFormat, type ConvertOptions, convertConfig } from './config/convert.ts';
export { credentialsInTurn } from './config/credentials.ts';
export { configJsonSchema } from './config/json-schema.ts';
export { loadConfig, loadConfigText, readConfigFiles } from './config/load.ts';
export type { ConfigFiles, LoadConfigOptions, LoadConfigTextOptions } from './config/load-options.ts';
export type { Written } from './config/losses.ts';
export type { Config, HostConfig, OriginConfig, RegistryConfig, ShortNames, TlsConfig } from './config/model.ts';
export { parseConfig } from './config/parse-config.ts';
export { type ConfigKind, type ConfigText, configKinds, readConfigTexts } from './config/read-texts.ts';
export { redactConfig } from './config/redact-config.ts';
export type { RewriteRule } from './config/rewrite.ts';
export type { ClientLimits, ClientRetries, ClientTimeouts } from './config/settings.ts';
export type { BytesOptions, Content, PartRange } from './content/content.ts';
export { copy } from './copy/copy.ts';
export type { Copied, CopyOptions, PlatformChoice } from './copy/options.ts';
export {
  type Attempt,
  type Capability,
  type Contest,
  type Endpoint,
  type Owed,
  redactUrl,
  type Skipped,
  type TlsOptions,
} from './endpoint.ts';
export {
  type ConfigProblem,
  type ErrorCode,
  type ErrorDetails,
  type ErrorReason,
  type HelperFailure,
  RegistryError,
} from './errors.ts';
export type { ClientEvent } from './events.ts';
export type { FileEntry, FileType } from './files/entry.ts';
export type { ImageFiles, ImageFilesChoice, OpenImageFileOptions } from './files/image-files.ts';
export { listFiles, openFile } from './files/layer.ts';
export type { FileBytesOptions, LayerFile } from './files/layer-file.ts';
export type { FilesOptions, OpenFileOptions } from './files/locate.ts';
export { type FetchTransportOptions, fetchTransport } from './http/fetch-transport.ts';
export { type SocketTransportOptions, socketTransport } from './http/socket/socket-transport.ts';
export { tlsConnectOptions } from './http/tls.ts';
export {
  type AddressPolicy,
  type ConnectedTransport,
  type HttpRequest,
  type HttpResponse,
  type Transport,
  type TransportTimeouts,
  type Wrapper,
  wrap,
} from './http/transport.ts';
export { type NetworkOptions, type UndiciOptions, undiciTransport } from './http/undici.ts';
export type { CredentialContext, CredentialHelpers, CredentialProvider, Login } from './login.ts';
export { selectPlatform } from './oci/choose-image.ts';
export { type Descriptor, parseDescriptor } from './oci/descriptor.ts';
export { type Digest, digestOf, parseDigest } from './oci/digest.ts';
export {
  type Index,
  isIndexType,
  isManifestType,
  type Manifest,
  mediaTypes,
  parseIndex,
  parseManifest,
} from './oci/manifest.ts';
export { formatPlatform, machinePlatform, matchesPlatform, type Platform, parsePlatform } from './oci/platform.ts';
export type { Range } from './oci/range.ts';
export { formatReference, parseReference, parseRepository, type Reference, type Repository } from './oci/reference.ts';
export type { ProxyConfig } from './proxy.ts';
export { cached } from './registry/cached-registry.ts';
export { only, under } from './registry/names.ts';
export { type Client, createClient, type Plan } from './remote/client.ts';
export type { ClientOptions } from './remote/client-options.ts';
export type { ExternalUrls } from './remote/external.ts';
export type {
  FetchByDigestOptions,
  Fetcher,
  FetcherOptions,
  FetcherReferrersOptions,
  RepositoryLists,
  Resolved,
  ResolveOptions,
  TagsOptions,
} from './remote/fetcher.ts';
export { createResolver, type Resolver } from './remote/plan.ts';
export type { Pulled, PullOptions } from './remote/pull.ts';
export type {
  AppendOptions,
  Body,
  CallOptions,
  Catalog,
  Chunks,
  Deleter,
  Fetched,
  FetchOptions,
  Keeper,
  KnownTag,
  Lister,
  Locates,
  Mounts,
  Namespaces,
  Opener,
  Referrers,
  ReferrersOptions,
  Registry,
  Source,
  Store,
  Upload,
  UploadLimits,
  Uploads,
  Validator,
} from './source.ts';
export type { GarbageOptions, LayoutGarbage } from './store/garbage.ts';
export { type LayoutStore, layoutStore } from './store/layout.ts';
export { type MemoryStore, memoryStore } from './store/memory.ts';
export type { LayoutReport, MissingContent, VerifyOptions, VerifyProgress, WrongContent } from './store/verify.ts';
