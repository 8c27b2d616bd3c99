import type { ServeOptions } from '../registry/serve-options.ts';
import { type BucketOptions, createBuckets } from './buckets.ts';
import { type ClientRule, clientBy } from './client-address.ts';
import { checkBucketOptions } from './front-options.ts';

/** Which bucket a client is sent to, and who the client is. */
export interface BucketLocations extends BucketOptions {
  /** Whose address a client has. Default `second-from-end`. */
  readonly client?: ClientRule | undefined;
}

/**
 * For `locate` of `serve`: redirects blobs to the bucket that is nearest to the client, if they are there, as `redirectFront`
 * does. `INVALID_CONFIG` for wrong options.
 */
export function bucketLocations(options: BucketLocations): NonNullable<ServeOptions['locate']> {
  checkBucketOptions(options);
  const buckets = createBuckets(options);
  const clientOf = clientBy(options.client ?? 'second-from-end');
  return async ({ digest }, _repository, { request, connection }) => {
    const found = clientOf(request, connection);
    // A client that cannot be known is one of no region.
    const address = 'address' in found ? found.address : undefined;
    const location = await buckets.find(digest, buckets.regionOf(address));
    return location === undefined ? [] : [location];
  };
}
