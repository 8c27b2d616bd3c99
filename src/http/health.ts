import { RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { causeCode } from './failure.ts';
import type { Wrapper } from './transport.ts';

export interface HealthOptions {
  /** Milliseconds that a dead host is passed over. */
  readonly pause?: number | undefined;
  readonly emit?: Emit | undefined;
  /** Milliseconds, from any start; for tests of time. */
  readonly now?: (() => number) | undefined;
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

function isDead(error: unknown): boolean {
  if (!(error instanceof RegistryError)) return false;
  if (error.code === 'TIMEOUT') return true;
  return error.code === 'UNAVAILABLE' && refused.has(causeCode(error));
}

/**
 * Remembers hosts that refuse connections or do not answer in time, and passes them over (`UNAVAILABLE`, no request)
 * while another host is left. After the pause one request goes as a probe, and the others go on passing over until it
 * has answered. So a dead mirror costs one time limit, not one for each blob.
 */
export const health = ({
  pause = 30_000,
  emit = () => {},
  now = () => performance.now(),
}: HealthOptions = {}): Wrapper => {
  const dead = new Map<string, number>();
  return (next) => async (request) => {
    const { origin, host } = new URL(request.url);
    const until = dead.get(origin);
    if (until !== undefined && request.more) {
      if (now() < until) {
        const reason = 'it refused a connection or did not answer in time a moment ago';
        emit({ type: 'skip', url: origin, reason });
        throw new RegistryError('UNAVAILABLE', `Passed over "${host}": ${reason}`, { host });
      }
      dead.set(origin, now() + pause);
    }
    try {
      const response = await next(request);
      dead.delete(origin);
      return response;
    } catch (error) {
      const isAborted = request.signal?.aborted || (error instanceof RegistryError && error.code === 'ABORTED');
      if (!isAborted && isDead(error)) dead.set(origin, now() + pause);
      // A probe that was called off tells nothing: the next request is one.
      else if (isAborted && until !== undefined) dead.set(origin, until);
      else if (!isAborted) dead.delete(origin);
      throw error;
    }
  };
};
