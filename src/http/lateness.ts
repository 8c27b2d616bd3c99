import { remember } from '../bounded-map.ts';
import type { Wrapper } from './transport.ts';

export interface LatenessOptions {
  /** Milliseconds without a response, after which any host is late. */
  readonly least: number;
}

/** How often a host may take as long as usual before it is late. */
const factor = 3;

/** Milliseconds that a request shows at most that was given up: nobody knows how long its response would have taken. */
const mostUnknown = 1_000;

/**
 * Says of requests that are made in a contest (`request.contest`) when they are sent, and when their response is late: it has
 * not begun for `least` milliseconds, nor for three times as long as responses of the host took before, so that a host far away is
 * not late each time. What takes long before a request is sent, such as a wait in line, does not count.
 */
export const lateness = ({ least }: LatenessOptions): Wrapper => {
  /** Milliseconds that responses of an origin take to begin. */
  const usual = new Map<string, number>();
  return (next) => async (request) => {
    const { contest } = request;
    const { origin } = new URL(request.url);
    const known = usual.get(origin);
    const limit = Math.max(least, factor * (known ?? 0));
    const started = performance.now();
    const took = (): number => performance.now() - started;
    let isLate = false;
    const late = (): void => {
      isLate = true;
      contest?.onSilent(limit);
    };
    // What came while this process was busy is read first.
    let timer = contest && setTimeout(() => (timer = setTimeout(late, 1)), limit);
    contest?.onSent();
    try {
      const response = await next(request);
      remember(usual, origin, known === undefined ? took() : (3 * known + took()) / 4);
      return response;
    } catch (error) {
      if (isLate) remember(usual, origin, Math.max(known ?? 0, Math.min(took(), mostUnknown)));
      throw error;
    } finally {
      clearTimeout(timer);
      if (isLate) contest?.onSilent(0);
    }
  };
};
