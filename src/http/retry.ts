import { defaultBackoff, jittered, sleep } from '../abort.ts';
import { discard } from '../body.ts';
import { remember } from '../bounded-map.ts';
import { type Owed, redactUrl } from '../endpoint.ts';
import { messageOf, RegistryError, restate } from '../errors.ts';
import type { Emit } from '../events.ts';
import { causeCode, isUnreachable } from './connection-error.ts';
import { parseRetryAfter } from './header-fields.ts';
import type { HttpRequest, HttpResponse, Transport, Wrapper } from './transport.ts';

export interface RetryOptions {
  /** Most requests to one host. Default: three, and to one that has served before further ones for `patience`. */
  readonly tries?: number | undefined;
  /** Milliseconds before the second try, give or take a half; doubles each time. */
  readonly backoff?: number | undefined;
  /** Milliseconds: the longest `Retry-After` that is obeyed. A longer one ends the tries. */
  readonly retryAfter?: number | undefined;
  /** Milliseconds from the first try in which a host that has served before is tried again, if `tries` is not given. */
  readonly patience?: number | undefined;
  readonly emit?: Emit | undefined;
}

export const defaultTries = 3;

/** The last eight are what Cloudflare responds when it cannot reach the server behind it. */
const temporary = new Set([408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527]);
/** What a second try does not fix: a name that does not exist, a wrong certificate. Half a head (`EOF`) may be whole then. */
const lasting = /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO|ENOTFOUND|INVALID(?!_EOF)|EPROTO/;

type Outcome = HttpResponse | RegistryError;

/**
 * Sends to the same host again when it responds "later", does not respond, or the connection fails; only if no other host
 * is left. Otherwise the error or response says what the host is owed when the others have failed.
 */
export const retry = ({
  tries,
  backoff = defaultBackoff,
  retryAfter = 60_000,
  patience = 10_000,
  emit = () => {},
}: RetryOptions = {}): Wrapper => {
  /** Origins that have served. */
  const known = new Map<string, true>();
  // The last wait may begin when `patience` is over.
  const pauseAfter = (tried: number): number =>
    Math.min(jittered(backoff, tried), tries === undefined ? patience / 2 : Number.POSITIVE_INFINITY);
  return (next) => async (request) => {
    const { origin } = new URL(request.url);
    const started = performance.now();
    const { tried: before = 0 } = request;
    const wait = async (milliseconds: number, reason: string): Promise<void> => {
      emit({ type: 'wait', url: redactUrl(request.url), milliseconds: Math.round(milliseconds), reason });
      await sleep(milliseconds, request.signal);
    };
    if (before > 0 && !request.more) await wait(pauseAfter(before), 'no other host is left');
    for (let tried = before + 1; ; tried += 1) {
      const outcome = await attempt(next, request);
      const isResponse = !(outcome instanceof RegistryError);
      if (isResponse && outcome.status < 400) remember(known, origin, true);
      const delay = request.signal?.aborted ? undefined : delayAfter(outcome, pauseAfter(tried), retryAfter);
      const isPatient = tries === undefined && known.has(origin) && performance.now() - started < patience;
      const hasTries = tried < (tries ?? defaultTries) || isPatient;
      if (delay === undefined || request.more || !hasTries) {
        const owed = delay !== undefined && request.more ? owedTo(outcome, { tried, hasTries }) : undefined;
        if (isResponse) return owed ? { ...outcome, owed } : outcome;
        throw owed ? restate(outcome, { owed }) : outcome;
      }
      if (isResponse) await discard(outcome.body);
      await wait(delay, isResponse ? `status ${outcome.status}` : messageOf(outcome));
    }
  };
};

async function attempt(next: Transport, request: HttpRequest): Promise<Outcome> {
  try {
    return await next(request);
  } catch (error) {
    if (error instanceof RegistryError) return error;
    throw error;
  }
}

/** Milliseconds to wait before another try; undefined if none would help. */
function delayAfter(outcome: Outcome, backoff: number, longest: number): number | undefined {
  const requested = retryAfterOf(outcome);
  const delay = requested === undefined ? backoff : Math.max(requested, backoff);
  if (requested !== undefined && requested > longest) return undefined;
  if (!(outcome instanceof RegistryError)) return temporary.has(outcome.status) ? delay : undefined;
  const { code, reason, status = 0 } = outcome;
  if (reason === 'skipped') return delay;
  if (code === 'TIMEOUT') return reason === undefined ? delay : undefined;
  // The response of a token realm comes as an error with its status.
  if (code !== 'UNAVAILABLE' && !temporary.has(status)) return undefined;
  return lasting.test(causeCode(outcome)) ? undefined : delay;
}

const retryAfterOf = (outcome: Outcome): number | undefined =>
  outcome instanceof RegistryError ? outcome.retryAfter : parseRetryAfter(outcome.headers['retry-after']);

/** Milliseconds that a host takes that cannot be reached, or that did not respond within the shorter limits. */
const expectedOf = { unreachable: 30_000, late: 10_000 };

/** What a host is owed after a try that is the last one because another host is left. One within shorter limits is not counted. */
function owedTo(
  outcome: Outcome,
  { tried, hasTries }: { readonly tried: number; readonly hasTries: boolean },
): Owed | undefined {
  const isError = outcome instanceof RegistryError;
  const isCounted = !isError || (outcome.code !== 'TIMEOUT' && outcome.reason !== 'skipped');
  if (isCounted && !hasTries) return undefined;
  const least = !isError ? 0 : isUnreachable(outcome) ? expectedOf.unreachable : isCounted ? 0 : expectedOf.late;
  return { tried: isCounted ? tried : tried - 1, expected: retryAfterOf(outcome) ?? least };
}
