export type { BucketAccess } from './bucket.ts';
export { type S3Registry, type S3RegistryOptions, s3Registry } from './registry.ts';
export type { BucketStore } from './repository.ts';
