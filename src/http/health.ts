import { remember } from '../bounded-map.ts';
import { cannot, RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { causeCode } from './connection-error.ts';
import { type HttpRequest, type Wrapper, whenEnded } from './transport.ts';

export interface HealthOptions {
  /** Milliseconds that a dead host is skipped. */
  readonly pause?: number | undefined;
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

const refused = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

const isLate = (error: unknown): boolean => error instanceof RegistryError && error.code === 'TIMEOUT';

const isDead = (error: unknown): boolean =>
  isLate(error) || (error instanceof RegistryError && error.code === 'UNAVAILABLE' && refused.has(causeCode(error)));

/** Whether the caller ended it, or kept it from being sent: the time limit of an operation is a `TIMEOUT`, too. */
const isCancelled = ({ signal }: HttpRequest, error: unknown): boolean =>
  signal?.aborted === true ||
  (error instanceof RegistryError && (error.code === 'ABORTED' || error.reason === 'unread'));

/**
 * Remembers hosts that refuse connections, do not respond in time or stop in the middle of a body, and skips them
 * (`UNAVAILABLE`, no request) while another host is left. After the pause one request is sent as a probe, and others keep
 * skipping until its response has come. So a dead mirror costs one time limit, not one for each blob.
 */
export const health = ({
  pause = 30_000,
  emit = () => {},
  now = () => performance.now(),
}: HealthOptions = {}): Wrapper => {
  const dead = new Map<string, Dead>();
  const skip = (origin: string, isStalling: boolean): void => {
    remember(dead, origin, { until: now() + pause, isStalling });
  };
  return (next) => async (request) => {
    const { origin, host } = new URL(request.url);
    const known = dead.get(origin);
    if (known && request.more) {
      if (now() < known.until) {
        const reason = 'it refused a connection or did not respond in time a moment ago';
        emit({ type: 'skip', url: origin, reason });
        throw cannot('UNAVAILABLE', `use "${host}"`, reason, { host });
      }
      skip(origin, known.isStalling);
    }
    // A cancelled probe shows nothing: the next request is a probe again.
    const restore = (): void => {
      if (known && dead.has(origin)) remember(dead, origin, known);
    };
    try {
      const response = await next(request);
      if (!dead.get(origin)?.isStalling) dead.delete(origin);
      return whenEnded(response, ({ bytes, error }) => {
        if (isCancelled(request, error) || (error === undefined && bytes === 0)) {
          if (known?.isStalling) restore();
        } else if (isLate(error)) skip(origin, true);
        else if (error === undefined) dead.delete(origin);
      });
    } catch (error) {
      if (isCancelled(request, error)) restore();
      else if (isDead(error)) skip(origin, known?.isStalling ?? false);
      else dead.delete(origin);
      throw error;
    }
  };
};
