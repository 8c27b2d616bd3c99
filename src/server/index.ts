export { cached, type StoreRegistry } from '../registry/cached-registry.ts';
export type { MadeRegistry } from '../registry/changed.ts';
export { type CoordinatedOptions, coordinated, type Locks } from '../registry/coordinated.ts';
export {
  type DescribedOptions,
  type DescriptorCache,
  described,
  type KnownDescriptor,
  memoryDescriptors,
} from '../registry/described.ts';
export { type LayoutRegistry, layoutRegistry } from '../registry/layout-registry.ts';
export { type MemoryRegistry, memoryRegistry } from '../registry/memory-registry.ts';
export { only, under } from '../registry/names.ts';
export { observed, type RegistryObserver, type RegistryOperation } from '../registry/observed.ts';
export { immutable, readOnly } from '../registry/restricted.ts';
export { type UnionOptions, union } from '../registry/union.ts';
export { type MemoryStore, memoryStore } from '../store/memory.ts';
export { type BasicCheckOptions, basicAccess, basicCheck, type Users } from './access/basic.ts';
export {
  type AccessCheck,
  type AccessOutcome,
  type AccessRequest,
  type AllowAccess,
  type ControlOptions,
  controlAccess,
  sillyCheck,
} from './access/check.ts';
export type { BasicLogin, LoginCheck } from './access/credentials.ts';
export { accessOf } from './access/needed.ts';
export { type AccessRule, type AccessRules, accessRules } from './access/rules.ts';
export { type TokenAccess, type TokenAccessOptions, tokenAccess } from './access/tokens.ts';
export { wrapHandler } from './direct.ts';
export { type Listening, type ListenOptions, listen } from './listen.ts';
export type { MirrorDownload, MirrorEvent, UpstreamStatus } from './mirror/activity.ts';
export { type MirrorStatus, type PullThrough, type PullThroughOptions, pullThrough } from './mirror/pull-through.ts';
export type { UpstreamOptions } from './mirror/upstreams.ts';
export type { ListenTls } from './node/tls.ts';
export type { EndpointStatus, NotificationEndpoint } from './notifications/endpoint.ts';
export { type Notifications, type NotificationsOptions, notifications } from './notifications/notifications.ts';
export type { Bucket, BucketOptions } from './redirect/buckets.ts';
export type { ClientRule } from './redirect/client-address.ts';
export { type CloudRange, parseCloudRanges } from './redirect/cloud-ranges.ts';
export { redirectFront } from './redirect/front.ts';
export type { FrontEvent, FrontOptions } from './redirect/front-options.ts';
export { loadFront } from './redirect/load-front.ts';
export { type BucketLocations, bucketLocations } from './redirect/locations.ts';
export type { ClientCertificate, Connection, Handler, ServerAction } from './registry/exchange.ts';
export type { ServerProblem, StatusTable } from './registry/problem.ts';
export { serve } from './registry/serve.ts';
export type { Asking, ServeOptions, ServerEvent } from './registry/serve-options.ts';
export { loadSettings, type SettingsFile, type SettingsProblem, type SettingsReader } from './settings-file.ts';
