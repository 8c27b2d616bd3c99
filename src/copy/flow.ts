/** Decides how much work runs at a time. */
export interface Admission {
  /** Whether work of so many bytes may begin now; if so, it counts until it leaves. */
  enter(size: number): boolean;
  leave(size: number): void;
  /** Milliseconds after which what was not admitted may be, though nothing has left; undefined: never. */
  readonly recheckAfter?: number | undefined;
}

/** As many at a time, whatever their size. */
export function admitMost(most: number): Admission {
  let running = 0;
  return {
    enter: () => {
      if (running >= most) return false;
      running += 1;
      return true;
    },
    leave: () => {
      running -= 1;
    },
  };
}

/** Bytes of a content that waits for the network and not for its width, at most. */
const smallBytes = 1_048_576;

/** Small contents that are copied at a time: over a long way, a connection brings one in each round trip. */
const mostSmall = 64;

/** Their bytes, at least as many as come in a second. */
const leastAhead = 8 * smallBytes;

/** Large contents: more at a time only if each comes slowly, as they leave the caches of few cores. */
const mostLarge = { fast: 4, slow: 6 };

/** Bytes per second of one content. Over fewer, the network or its servers are what is waited for. */
const slow = 32 * smallBytes;

/** Milliseconds over which the throughput is measured, and before it says anything. */
const measured = { most: 1_000, least: 100 };

/** How many contents of this size a host may be asked for at a time, if that is more than of others. */
export const requestsAtATime = (size: number): number | undefined => (size <= smallBytes ? mostSmall : undefined);

/**
 * As much as the network can use: many small contents and few large ones, by the bytes that are under way and those that
 * came in the last second. `copied` is how many have come in all.
 */
export function admitByFlow(copied: () => number, now = (): number => performance.now()): Admission {
  const samples: { readonly time: number; readonly bytes: number }[] = [];
  const running = { large: 0, small: 0, smallBytes: 0 };
  /** Bytes per second; undefined if it is too early to say. */
  const throughput = (): number | undefined => {
    const last = { time: now(), bytes: copied() };
    if (samples.length === 0 || last.time - (samples.at(-1)?.time ?? 0) >= measured.least / 4) samples.push(last);
    while ((samples[1]?.time ?? last.time) < last.time - measured.most) samples.shift();
    const { time = 0, bytes = 0 } = samples[0] ?? {};
    return last.time - time < measured.least ? undefined : ((last.bytes - bytes) * 1_000) / (last.time - time);
  };
  const hasRoom = (size: number): boolean => {
    const count = running.large + running.small;
    const rate = throughput();
    if (count < mostLarge.fast) return true;
    if (size > smallBytes) return count < mostLarge.slow && rate !== undefined && rate / count < slow;
    return count < mostSmall && running.smallBytes + size <= Math.max(leastAhead, rate ?? 0);
  };
  return {
    recheckAfter: 50,
    enter: (size) => {
      if (!hasRoom(size)) return false;
      if (size > smallBytes) running.large += 1;
      else {
        running.small += 1;
        running.smallBytes += size;
      }
      return true;
    },
    leave: (size) => {
      if (size > smallBytes) running.large -= 1;
      else {
        running.small -= 1;
        running.smallBytes -= size;
      }
    },
  };
}
