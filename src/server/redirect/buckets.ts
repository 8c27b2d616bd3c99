import { addressTable } from './address-table.ts';
import type { CloudRange } from './cloud-ranges.ts';
import { createPresence, type PresenceOptions } from './presence.ts';

/** Storage that has blobs, each at its digest: `https://bucket.example/containers/images/sha256:…`. */
export interface Bucket {
  /** Its base URL. */
  readonly url: string;
  /** For clients in this cloud only, in any letter case; left out: for all that have no bucket of their own. */
  readonly cloud?: string | undefined;
  /** Only in these regions of the cloud, which may be near the bucket rather than its own; left out: in all others. */
  readonly regions?: readonly string[] | undefined;
}

/** Which bucket a client is sent to. */
export interface BucketOptions extends PresenceOptions {
  readonly buckets?: readonly Bucket[] | undefined;
  /** Path of the blobs in each bucket. Default `containers/images`, as in Google's Container Registry. */
  readonly bucketPath?: string | undefined;
  /** Which addresses are in which cloud and region: `parseCloudRanges` reads the clouds' own lists. */
  readonly ranges?: readonly CloudRange[] | undefined;
  /** Clouds whose clients are sent to no bucket, as the upstream is near them. Default `GCP`. */
  readonly stay?: readonly string[] | undefined;
}

/** Where a client is. */
export type Region = Pick<CloudRange, 'cloud' | 'region'>;

/** Finds the buckets for clients. */
export interface Buckets {
  /** The cloud and region of an address; undefined for one in no cloud. */
  regionOf(address: string | undefined): Region | undefined;
  /** The URL of a blob in the bucket for a client in this region, if it is there. `digest` goes into the URL as it is. */
  find(digest: string, region: Region | undefined): Promise<string | undefined>;
}

/** `INVALID_CONFIG` for ranges that are not prefixes. */
export function createBuckets(options: BucketOptions): Buckets {
  const { buckets = [], bucketPath = 'containers/images', ranges = [], stay = ['GCP'] } = options;
  const isPresent = createPresence(options);
  const regionOf = addressTable(shared(ranges));
  const stays = new Set(stay.map((cloud) => cloud.toLowerCase()));
  const bases = new Map(buckets.flatMap((bucket) => keysOf(bucket).map((key) => [key, bucket.url] as const)));
  const baseFor = ({ cloud, region }: Region): string | undefined => {
    const keys = [keyOf(cloud, region), keyOf(cloud), keyOf()];
    return keys.map((key) => bases.get(key)).find((base) => base !== undefined);
  };
  return {
    regionOf: (address) => (address === undefined ? undefined : regionOf(address)),
    find: async (digest, region) => {
      if (region && stays.has(region.cloud.toLowerCase())) return undefined;
      const base = region ? baseFor(region) : bases.get(keyOf());
      if (base === undefined) return undefined;
      const url = [base.replace(/\/$/, ''), ...bucketPath.split('/').filter((part) => part !== ''), digest].join('/');
      return (await isPresent(url)) ? url : undefined;
    },
  };
}

/** The clients that a bucket is for. */
export const keysOf = ({ cloud, regions }: Pick<Bucket, 'cloud' | 'regions'>): string[] =>
  regions ? regions.map((region) => keyOf(cloud, region)) : [keyOf(cloud)];

const keyOf = (...place: readonly (string | undefined)[]): string =>
  place
    .filter((part) => part !== undefined)
    .join(' ')
    .toLowerCase();

/** Each range with its region; ranges of one region share one object, as there are ten thousand of them. */
function* shared(ranges: readonly CloudRange[]): Generator<readonly [prefix: string, region: Region]> {
  const regions = new Map<string, Region>();
  for (const { prefix, cloud, region } of ranges) {
    const key = keyOf(cloud, region);
    const one = regions.get(key) ?? { cloud, region };
    regions.set(key, one);
    yield [prefix, one];
  }
}
