import { RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { remember } from './bounded-map.ts';
import { causeCode } from './connection-error.ts';
import { type HttpRequest, type Wrapper, whenEnded } from './transport.ts';

export interface HealthOptions {
  /** Milliseconds that a dead host is passed over. */
  readonly pause?: number | undefined;
  readonly emit?: Emit | undefined;
  /** Milliseconds, from any start; for tests of time. */
  readonly now?: (() => number) | undefined;
}

/** A host that is passed over. */
interface Dead {
  /** From then on one request goes as a probe. */
  readonly until: number;
  /** Its answers begin and do not go on: only a body that came whole shows that it lives. */
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

/** Whether it was the asker that ended it: also the time limit of an operation is a `TIMEOUT`. */
const isCalledOff = ({ signal }: HttpRequest, error: unknown): boolean =>
  signal?.aborted === true || (error instanceof RegistryError && error.code === 'ABORTED');

/**
 * Remembers hosts that refuse connections, do not answer in time or stop in the middle of a body, and passes them over
 * (`UNAVAILABLE`, no request) while another host is left. After the pause one request goes as a probe, and the others go
 * on passing over until it has answered. So a dead mirror costs one time limit, not one for each blob.
 */
export const health = ({
  pause = 30_000,
  emit = () => {},
  now = () => performance.now(),
}: HealthOptions = {}): Wrapper => {
  const dead = new Map<string, Dead>();
  const pass = (origin: string, isStalling: boolean): void => {
    remember(dead, origin, { until: now() + pause, isStalling });
  };
  return (next) => async (request) => {
    const { origin, host } = new URL(request.url);
    const known = dead.get(origin);
    if (known && request.more) {
      if (now() < known.until) {
        const reason = 'it refused a connection or did not answer in time a moment ago';
        emit({ type: 'skip', url: origin, reason });
        throw new RegistryError('UNAVAILABLE', `Passed over "${host}": ${reason}`, { host });
      }
      pass(origin, known.isStalling);
    }
    // A probe that was called off tells nothing: the next request is one.
    const takeBack = (): void => {
      if (known && dead.has(origin)) remember(dead, origin, known);
    };
    try {
      const response = await next(request);
      if (!dead.get(origin)?.isStalling) dead.delete(origin);
      return whenEnded(response, ({ bytes, error }) => {
        if (isCalledOff(request, error) || (error === undefined && bytes === 0)) {
          if (known?.isStalling) takeBack();
        } else if (isLate(error)) pass(origin, true);
        else if (error === undefined) dead.delete(origin);
      });
    } catch (error) {
      if (isCalledOff(request, error)) takeBack();
      else if (isDead(error)) pass(origin, known?.isStalling ?? false);
      else dead.delete(origin);
      throw error;
    }
  };
};
