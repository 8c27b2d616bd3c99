import type { Meter } from '../body.ts';
import { remember } from '../bounded-map.ts';
import { cannot } from '../errors.ts';

export interface PacesOptions {
  /** Milliseconds over which a body is compared; 0: never. */
  readonly crawl: number;
  /** Milliseconds, from any start; for tests of time. */
  readonly now?: (() => number) | undefined;
}

/** How fast hosts send, by the bodies that came from them. */
export interface Paces {
  /**
   * Measures a body of `name`. With `rivals`, other hosts that may have the content, it breaks it with `TIMEOUT` if it crawls: if in
   * `crawl` milliseconds in which a reader waits it brings less than a tenth of what the fastest of them brought before.
   */
  meterOf(name: string, rivals?: readonly string[]): Meter;
}

/** What a body crawls below, as a part of the speed of others. As many may share the way of one host. */
const share = 1 / 10;

/** Bytes per second that a host is believed to bring that has brought nothing yet. */
const assumed = 1_048_576;

/** Bytes after which the speed of a body is noted. */
const noteEvery = 262_144;

export function createPaces({ crawl, now = () => performance.now() }: PacesOptions): Paces {
  /** Bytes per second of the latest body, with the time that its reader took. */
  const speeds = new Map<string, number>();
  return {
    meterOf: (name, rivals = []) => {
      const isWatched = crawl > 0 && rivals.length > 0;
      let started: number | undefined;
      let total = 0;
      let noted = 0;
      let window = { time: 0, bytes: 0 };
      const compare = (): void => {
        const { time, bytes } = window;
        if (!isWatched || time < crawl) return;
        window = { time: 0, bytes: 0 };
        const speed = (bytes * 1_000) / time;
        const best = Math.max(...rivals.map((rival) => speeds.get(rival) ?? assumed));
        if (speed >= best * share) return;
        const found = `${bytes} bytes came in ${Math.round(time)} ms, less than a tenth of what another host brings`;
        throw cannot('TIMEOUT', 'read a body', found, { reason: 'too-slow', limit: 'timeouts.crawl' });
      };
      return {
        longestWait: isWatched ? crawl : 0,
        add: (waited, bytes) => {
          started ??= now() - waited;
          total += bytes;
          window = { time: window.time + waited, bytes: window.bytes + bytes };
          if (total - noted >= noteEvery) {
            noted = total;
            remember(speeds, name, (total * 1_000) / Math.max(now() - started, 1));
          }
          compare();
        },
      };
    },
  };
}
