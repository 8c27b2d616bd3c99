import type { Digest } from '../../oci/digest.ts';
import type { Repository } from '../../oci/reference.ts';
import type { DescriptorCache, KnownDescriptor } from '../../registry/described.ts';
import type { Redis } from './connection.ts';

/**
 * Remembers descriptors in Redis, for `described`, so that all servers of one storage share them. The keys are those of
 * distribution: the set `repository::<name>::blobs` of what a repository has, the hashes `blobs::<digest>` (`digest`, `size`,
 * `mediatype`) and `repository::<name>::blobs::<digest>` (`mediatype`). Repositories are told apart by their names only. Nothing
 * expires: give Redis a limit, and `maxmemory-policy allkeys-lru`.
 */
export function redisDescriptors(redis: Redis): DescriptorCache {
  const { prefix } = redis;
  const keysOf = ({ name }: Repository, digest: Digest) => ({
    members: `${prefix}repository::${name}::blobs`,
    content: `${prefix}blobs::${digest}`,
    own: `${prefix}repository::${name}::blobs::${digest}`,
  });
  return {
    get: async (repository, digest) => {
      const { members, content, own } = keysOf(repository, digest);
      const [isMember, shared, special] = await redis.run(
        ['SISMEMBER', members, digest],
        ['HMGET', content, 'size', 'mediatype'],
        ['HMGET', own, 'mediatype', 'links'],
      );
      if (Number(isMember) !== 1) return undefined;
      const [size, type] = textsIn(shared);
      const [ownType, links] = textsIn(special);
      return knownOf(digest, { size, mediaType: ownType ?? type, links });
    },
    set: async (repository, digest, { descriptor: { mediaType, size }, links }) => {
      if (mediaType === '') return;
      const { members, content, own } = keysOf(repository, digest);
      await redis.run(
        ['HSET', content, 'digest', digest, 'size', String(size), 'mediatype', mediaType],
        ['HSET', own, 'mediatype', mediaType, 'links', links ? '1' : '0'],
        // Last, as it is what makes the others count.
        ['SADD', members, digest],
      );
    },
    delete: async (repository, digest) => {
      const { members, content, own } = keysOf(repository, digest);
      await redis.run(['SREM', members, digest], ['DEL', content], ['DEL', own]);
    },
  };
}

/** Fields of a hash; undefined for one that is missing. */
const textsIn = (reply: unknown): readonly (string | undefined)[] =>
  Array.isArray(reply) ? reply.map((value) => (typeof value === 'string' ? value : undefined)) : [];

/** Undefined unless it is complete. */
function knownOf(
  digest: Digest,
  found: {
    readonly size: string | undefined;
    readonly mediaType: string | undefined;
    readonly links: string | undefined;
  },
): KnownDescriptor | undefined {
  const { size = '', mediaType, links } = found;
  if (!/^\d{1,15}$/.test(size) || !mediaType) return undefined;
  return { descriptor: { mediaType, digest, size: Number(size) }, links: links === '1' };
}
