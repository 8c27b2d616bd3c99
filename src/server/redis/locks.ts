import { asRegistryError, type RegistryError } from '../../errors.ts';
import type { Locks } from '../../registry/coordinated.ts';
import type { Redis } from './connection.ts';

/** What Redis does in one step, so that nothing can come between. */
export const scripts = {
  extend: "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0",
  release: "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0",
  count:
    "local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end return {n, redis.call('PTTL', KEYS[1])}",
} as const;

/** How locks are kept. */
export interface RedisLocksOptions {
  /** Milliseconds after which the lock of a process that is gone is free. Default: 15,000. */
  readonly expiry?: number | undefined;
  /** Called with each failure; the work goes on without a lock. Default: ignored. */
  readonly onError?: ((error: RegistryError) => void) | undefined;
}

/** Locks in Redis, for `coordinated`. Without Redis everybody gets each lock. */
export function redisLocks(redis: Redis, { expiry = 15_000, onError }: RedisLocksOptions = {}): Locks {
  const report = (error: unknown): void => onError?.(asRegistryError(error, 'UNAVAILABLE', 'use a lock'));
  return {
    take: async (name) => {
      const [key, owner] = [`${redis.prefix}ocifetch:lock:${name}`, crypto.randomUUID()];
      try {
        const [reply] = await redis.run(['SET', key, owner, 'NX', 'PX', String(expiry)]);
        if (reply !== 'OK') return undefined;
      } catch (error) {
        report(error);
        return async () => {};
      }
      const timer = setInterval(() => {
        redis.run(['EVAL', scripts.extend, '1', key, owner, String(expiry)]).catch(report);
      }, expiry / 3);
      timer.unref?.();
      return async () => {
        clearInterval(timer);
        await redis.run(['EVAL', scripts.release, '1', key, owner]).catch(report);
      };
    },
  };
}
