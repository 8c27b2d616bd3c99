import { defaultBackoff, jittered, sleep } from '../abort.ts';
import { discard } from '../body.ts';
import { redactUrl } from '../endpoint.ts';
import { messageOf, RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { causeCode } from './connection-error.ts';
import { parseRetryAfter } from './header-fields.ts';
import type { HttpRequest, HttpResponse, Transport, Wrapper } from './transport.ts';

export interface RetryOptions {
  /** Most requests to one host. */
  readonly tries?: number | undefined;
  /** Milliseconds before the second try, give or take a half; doubles each time. */
  readonly backoff?: number | undefined;
  /** Milliseconds: the longest `Retry-After` that is obeyed. A longer one ends the tries. */
  readonly retryAfter?: number | undefined;
  readonly emit?: Emit | undefined;
}

const temporary = new Set([408, 425, 429, 500, 502, 503, 504]);
/** What a second try does not fix: a name that does not exist, a wrong certificate. */
const lasting = /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO|ENOTFOUND|INVALID|EPROTO/;

/** Sends to the same host again when it responds "later" or the connection fails; only if no other host is left. */
export const retry =
  ({ tries = 3, backoff = defaultBackoff, retryAfter = 60_000, emit = () => {} }: RetryOptions = {}): Wrapper =>
  (next) =>
  async (request) => {
    for (let tried = 1; ; tried += 1) {
      const outcome = await attempt(next, request);
      const isLast = request.more || tried >= tries;
      const delay = isLast ? undefined : delayAfter(outcome, jittered(backoff, tried), retryAfter);
      if (delay === undefined) {
        if (outcome instanceof RegistryError) throw outcome;
        return outcome;
      }
      if (!(outcome instanceof RegistryError)) await discard(outcome.body);
      const reason = outcome instanceof RegistryError ? messageOf(outcome) : `status ${outcome.status}`;
      emit({ type: 'wait', url: redactUrl(request.url), milliseconds: Math.round(delay), reason });
      await sleep(delay, request.signal);
    }
  };

async function attempt(next: Transport, request: HttpRequest): Promise<HttpResponse | RegistryError> {
  try {
    return await next(request);
  } catch (error) {
    if (error instanceof RegistryError) return error;
    throw error;
  }
}

/** Milliseconds to wait before another try; undefined if none would help. */
function delayAfter(outcome: HttpResponse | RegistryError, backoff: number, longest: number): number | undefined {
  if (outcome instanceof RegistryError) {
    // The response of a token realm comes as an error with its status.
    if (outcome.code !== 'UNAVAILABLE' && !temporary.has(outcome.status ?? 0)) return undefined;
    return lasting.test(causeCode(outcome)) ? undefined : backoff;
  }
  if (!temporary.has(outcome.status)) return undefined;
  const requested = parseRetryAfter(outcome.headers['retry-after']);
  if (requested === undefined) return backoff;
  return requested > longest ? undefined : Math.max(requested, backoff);
}
