import type { Feed } from '../../src/body.ts';

export const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

export interface Fed extends Feed {
  readonly cancelled: unknown[];
  asked: number;
}

/** Gives these one after the other; an error breaks it, a promise is waited for. */
export function feedOf(...steps: (Uint8Array | Error | Promise<Uint8Array | undefined>)[]): Fed {
  const feed: Fed = {
    cancelled: [],
    asked: 0,
    next: () => {
      feed.asked += 1;
      const step = steps.shift();
      if (step instanceof Error) throw step;
      return step;
    },
    cancel: (reason) => {
      feed.cancelled.push(reason);
    },
  };
  return feed;
}

export const never = (): Promise<undefined> => new Promise(() => undefined);
