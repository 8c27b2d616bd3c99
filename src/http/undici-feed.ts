import type { Dispatcher } from 'undici';
import { redactUrl } from '../endpoint.ts';
import type { RegistryError } from '../errors.ts';
import type { Feed } from '../feed.ts';
import { connectionError } from './failure.ts';
import { recycle } from './receive.ts';

/** Chunks (of 256 KiB, where they come fast) taken from the stream ahead of their reader: stopping it for each costs more. */
const readAhead = 2;

/** Chunks as they come: two thirds of the cost of the stream's own iterator, which joins what it has buffered. */
export function feedOf(stream: Dispatcher.ResponseData['body'], url: string): Feed {
  const queue: Uint8Array[] = [];
  let state: 'unread' | 'open' | 'ending' | 'ended' = 'unread';
  let failure: RegistryError | undefined;
  let waiting: { resolve(chunk: Uint8Array | undefined): void; reject(error: unknown): void } | undefined;
  const settle = (): void => {
    const waiter = waiting;
    waiting = undefined;
    if (failure) waiter?.reject(failure);
    else waiter?.resolve(undefined);
  };
  const fail = (error: unknown): void => {
    failure ??= connectionError(error, 'UNEXPECTED_END', `Cannot go on reading "${redactUrl(url)}"`);
    settle();
  };
  // From the start: a body that breaks before it is read must not end the process.
  stream.on('error', fail);
  stream.on('close', () => {
    if (state !== 'ending' && state !== 'ended') fail(new Error('the connection was closed'));
  });
  stream.on('end', () => {
    state = 'ending';
    // undici keeps the connection from others for one turn more: whoever asks next would open another one.
    setImmediate(() => {
      state = 'ended';
      settle();
    });
  });
  const open = (): void => {
    state = 'open';
    stream.on('data', (chunk: Uint8Array) => {
      const waiter = waiting;
      waiting = undefined;
      if (waiter) waiter.resolve(chunk);
      else {
        queue.push(chunk);
        if (queue.length >= readAhead) stream.pause();
      }
    });
  };
  return {
    next: () => {
      if (state === 'unread' && !failure) open();
      const chunk = queue.shift();
      if (chunk) return chunk;
      if (failure) throw failure;
      if (state === 'ended') return undefined;
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        if (stream.isPaused()) stream.resume();
      });
    },
    cancel: () => {
      stream.destroy();
    },
    recycle,
  };
}
