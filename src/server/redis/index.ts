export { connectRedis, type Redis, type RedisCommand, type RedisOptions } from './connection.ts';
export { redisDescriptors } from './descriptors.ts';
export { type RedisLocksOptions, redisLocks } from './locks.ts';
