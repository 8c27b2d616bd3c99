import { sleep } from '../abort.ts';
import { remember } from '../bounded-map.ts';
import { redactUrl } from '../endpoint.ts';
import { cannot, codeOfStatus, type ErrorCode, RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { isUnreachable } from './connection-error.ts';
import { parseRetryAfter } from './header-fields.ts';
import { type HttpRequest, type HttpResponse, type Wrapper, whenEnded } from './transport.ts';

export interface HealthOptions {
  /** Milliseconds that a dead host is skipped. */
  readonly pause?: number | undefined;
  /** Milliseconds: the longest `Retry-After` that is waited for if no other host is left. */
  readonly retryAfter?: number | undefined;
  readonly emit?: Emit | undefined;
  /** Milliseconds, from any start; for tests of time. */
  readonly now?: (() => number) | undefined;
}

/** A host that is skipped. */
interface Dead {
  /** From then on one request is sent as a probe. */
  readonly until: number;
  /** Its responses begin and then stall: only a complete body shows that it works again. */
  readonly isStalling: boolean;
}

/** A host that asked to wait. */
interface Busy {
  readonly until: number;
  readonly code: ErrorCode;
}

const isLate = (error: unknown): boolean => error instanceof RegistryError && error.code === 'TIMEOUT';

/** Whether the caller ended it, or kept it from being sent: the time limit of an operation is a `TIMEOUT`, too. */
const isCancelled = ({ signal }: HttpRequest, error: unknown): boolean =>
  signal?.aborted === true ||
  (error instanceof RegistryError && (error.code === 'ABORTED' || error.reason === 'unread'));

/**
 * Remembers hosts that refuse connections, do not respond in time or stop in the middle of a body, and skips them
 * (`UNAVAILABLE`, no request) while another host is left. After the pause one request is sent as a probe, and others keep
 * skipping until its response has come. So a dead mirror costs one time limit, not one for each blob. A host that has
 * responded before is skipped for a sixth of the pause when it is late for the first time: one slow answer does not make it dead.
 *
 * A host that asked to wait (429 or 503 with `Retry-After`) is skipped until then, too; if no other host is left, the
 * request waits.
 */
export const health = ({
  pause = 30_000,
  retryAfter = 60_000,
  emit = () => {},
  now = () => performance.now(),
}: HealthOptions = {}): Wrapper => {
  const dead = new Map<string, Dead>();
  const busy = new Map<string, Busy>();
  /** Hosts that have responded, and whether the next request was late. */
  const wasLate = new Map<string, boolean>();
  const skip = (origin: string, isStalling: boolean, milliseconds = pause): void => {
    remember(dead, origin, { until: now() + milliseconds, isStalling });
  };
  const refuse = (origin: string, code: ErrorCode, reason: string, wait?: number): RegistryError => {
    const { host } = new URL(origin);
    emit({ type: 'skip', url: origin, reason });
    return cannot(code, `use "${host}"`, reason, { host, reason: 'skipped', retryAfter: wait });
  };
  const waitUntilFree = async (request: HttpRequest, origin: string): Promise<void> => {
    const { until = 0, code = 'UNAVAILABLE' } = busy.get(origin) ?? {};
    const wait = until - now();
    // Timers are that exact.
    if (wait < 2) return;
    if (request.more) throw refuse(origin, code, `it asked to wait ${Math.ceil(wait / 1000)} s more`, wait);
    if (wait > retryAfter) return;
    emit({ type: 'wait', url: redactUrl(request.url), milliseconds: Math.round(wait), reason: 'it asked to wait' });
    await sleep(wait, request.signal);
  };
  const note = (origin: string, { status, headers }: HttpResponse): void => {
    remember(wasLate, origin, false);
    const wait = status === 429 || status === 503 ? parseRetryAfter(headers['retry-after']) : undefined;
    if (wait !== undefined) remember(busy, origin, { until: now() + wait, code: codeOfStatus(status) });
  };
  /** How long to skip a host that failed so: not long if it has responded before, and has not been late since. */
  const pauseAfter = (origin: string, error: unknown): number => {
    if (!isLate(error) || isUnreachable(error) || wasLate.get(origin) !== false) return pause;
    remember(wasLate, origin, true);
    return pause / 6;
  };
  return (next) => async (request) => {
    const { origin } = new URL(request.url);
    const known = dead.get(origin);
    if (known && request.more) {
      if (now() < known.until) {
        throw refuse(origin, 'UNAVAILABLE', 'it refused a connection or did not respond in time a moment ago');
      }
      skip(origin, known.isStalling);
    }
    await waitUntilFree(request, origin);
    // A cancelled probe shows nothing: the next request is a probe again.
    const restore = (): void => {
      if (known && dead.has(origin)) remember(dead, origin, known);
    };
    try {
      const response = await next(request);
      note(origin, response);
      if (!dead.get(origin)?.isStalling) dead.delete(origin);
      return whenEnded(response, ({ bytes, error }) => {
        if (isCancelled(request, error) || (error === undefined && bytes === 0)) {
          if (known?.isStalling) restore();
        } else if (isLate(error)) skip(origin, true);
        else if (error === undefined) dead.delete(origin);
      });
    } catch (error) {
      if (isCancelled(request, error)) restore();
      else if (isLate(error) || isUnreachable(error)) {
        skip(origin, known?.isStalling ?? false, pauseAfter(origin, error));
      } else dead.delete(origin);
      throw error;
    }
  };
};
