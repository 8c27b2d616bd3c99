import type { Dispatcher } from 'undici';
import type { RegistryError } from '../errors.ts';
import type { Feed } from '../feed.ts';
import { connectionError } from './connection-error.ts';
import { recycle } from './receive.ts';

/** Bytes taken from the stream ahead of their reader, before it is stopped: to stop it for each chunk costs more. */
const readAhead = 393_216;

/** Chunks as they come: two thirds of the cost of the stream's own iterator, which joins what it has buffered. */
export function feedOf(stream: Dispatcher.ResponseData['body'], url: string): Feed {
  const queue: Uint8Array[] = [];
  let queued = 0;
  const given = new WeakSet<Uint8Array>();
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
    failure ??= connectionError(error, 'UNEXPECTED_END', 'go on reading', url);
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
      given.add(chunk);
      const waiter = waiting;
      waiting = undefined;
      if (waiter) waiter.resolve(chunk);
      else {
        queue.push(chunk);
        queued += chunk.length;
        if (queued >= readAhead) stream.pause();
      }
    });
  };
  return {
    next: () => {
      if (state === 'unread' && !failure) open();
      const chunk = queue.shift();
      queued -= chunk?.length ?? 0;
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
    recycle: (chunk) => {
      // Once each, and none of another body: its memory may be somebody else's by now.
      if (given.delete(chunk)) recycle(chunk);
    },
  };
}
