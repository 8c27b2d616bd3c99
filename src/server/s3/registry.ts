import { remember } from '../../bounded-map.ts';
import { cannot, configError } from '../../errors.ts';
import { nameProblem } from '../../oci/reference.ts';
import { keepSecret } from '../../redaction.ts';
import type { CallOptions, Catalog, Registry } from '../../source.ts';
import { type Checks, checkOptions, filledText, flag, urlLike, wholeNumber } from '../../text/problems.ts';
import { quote } from '../../text/quote.ts';
import { type BucketAccess, bucketObjects } from './bucket.ts';
import { bucketKeys } from './entries.ts';
import { type BucketStore, bucketStore } from './repository.ts';
import { purgeUploads } from './uploads.ts';

/** Where a registry in a bucket is, and how its content is read. */
export interface S3RegistryOptions extends BucketAccess {
  /** What its keys begin with: `registry/`. Default: nothing. */
  readonly prefix?: string | undefined;
  /**
   * Whether clients are sent to the bucket for blobs, by URLs that are valid for so many seconds (`true`: 1,200). They must
   * reach it under the name of `endpoint`. Default: false.
   */
  readonly redirect?: boolean | { readonly seconds: number } | undefined;
}

/** A registry whose repositories are kept in an S3-compatible bucket. */
export type S3Registry = ((...parameters: Parameters<Registry>) => BucketStore) &
  Catalog & {
    /** Drops uploads that nobody has continued for so many milliseconds; gives their number. */
    purgeUploads(age: number, options?: CallOptions): Promise<number>;
    /** Fails if the bucket cannot be used: `UNAVAILABLE`, `TIMEOUT` or `STORE_ERROR`. */
    check(options?: CallOptions): Promise<void>;
    /** Closes its connections. */
    close(): void;
  };

const url = urlLike(/^https?:\/\/[^\s]+$/i, 'https://storage.example');
const seconds = wholeNumber(1, 604_800);

const checks: Checks = {
  bucket: filledText,
  region: filledText,
  endpoint: url,
  pathStyle: flag,
  credentials: () => ({ accessKeyId: filledText, secretAccessKey: filledText, sessionToken: filledText }),
  timeouts: () => ({ connect: wholeNumber(1), response: wholeNumber(1), idle: wholeNumber(1) }),
  tries: wholeNumber(1, 20),
  prefix: (value) => (typeof value === 'string' ? undefined : 'expected a text'),
  redirect: (value) => (typeof value === 'boolean' ? undefined : { seconds }),
};

/** Most repositories whose stores are kept between two requests. */
const mostStores = 1_000;

/**
 * A registry in an S3-compatible bucket, which any number of processes may use. Repositories share the bytes of equal content;
 * each sees what was pushed or mounted there. A removal removes content from its repository, not its bytes from the bucket.
 * Needs `@aws-sdk/client-s3` and `@aws-sdk/s3-request-presigner`.
 *
 * Errors of its repositories: as those of `memoryStore`, and `UNAVAILABLE` or `TIMEOUT` if the bucket cannot be used now,
 * `STORE_ERROR` if it refuses.
 */
export function s3Registry(options: S3RegistryOptions): S3Registry {
  keepSecrets(options);
  checkOptions('use a bucket', options, checks);
  if (options.bucket === undefined) throw configError('use a bucket', [{ key: 'bucket', found: 'it is missing' }]);
  const { prefix = '', redirect = false } = options;
  const objects = bucketObjects(options);
  const keys = bucketKeys(prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`);
  const urlSeconds = typeof redirect === 'object' ? redirect.seconds : redirect ? 1_200 : undefined;
  const stores = new Map<string, BucketStore>();
  const registry = ({ name }: Parameters<Registry>[0]): BucketStore => {
    const problem = nameProblem(name);
    if (problem !== undefined)
      throw cannot('INVALID_REFERENCE', `use repository ${quote(name)}`, problem, { value: name });
    const store = stores.get(name) ?? bucketStore({ name, objects, keys, urlSeconds });
    remember(stores, name, store, mostStores);
    return store;
  };
  return Object.assign(registry, {
    repositories: async (call: CallOptions = {}) => {
      const names: string[] = [];
      for await (const { key } of objects.list(keys.repositories, { ...call, delimiter: '/' }))
        names.push(keys.nameOf(key));
      return names.sort();
    },
    purgeUploads: (age: number, call?: CallOptions) => purgeUploads({ objects, keys }, age, call),
    check: (call?: CallOptions) => objects.check(call),
    close: () => objects.close(),
  });
}

/** No error, event or log shows them. */
function keepSecrets({ credentials }: Partial<S3RegistryOptions>): void {
  for (const secret of [credentials?.secretAccessKey, credentials?.sessionToken])
    if (typeof secret === 'string') keepSecret(secret);
}
