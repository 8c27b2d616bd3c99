import { type Attempt, type Endpoint, printable, redactUrl } from '../endpoint.ts';
import { asRegistryError, messageOf, type RegistryError, restate } from '../errors.ts';
import type { Fetched } from '../source.ts';

/** What was asked: of whom, and how. */
export interface Asked {
  readonly endpoint: Endpoint;
  readonly method: string;
  readonly url: string;
  /** `performance.now()` when it was asked. */
  readonly started: number;
}

/** The record of an attempt, when it is over. */
export function recordOf(asked: Asked, bytes: number, error?: unknown): Attempt {
  const failure = error === undefined ? undefined : asRegistryError(error, 'UNAVAILABLE', 'make the attempt');
  return {
    ...printable(asked.endpoint),
    host: new URL(asked.endpoint.url).host,
    method: asked.method,
    request: redactUrl(asked.url),
    outcome: failure?.code ?? 'ok',
    ...(failure?.status !== undefined && { status: failure.status }),
    ...(failure && failure.registryErrors.length > 0 && { registryErrors: failure.registryErrors }),
    duration: performance.now() - asked.started,
    bytes,
    ...(failure && { message: messageOf(failure) }),
    ...(failure?.found !== undefined && { found: failure.found }),
  };
}

/** The error as its user sees it: with the host that was asked and the record of the attempt. */
export function withAttempt(thrown: unknown, asked: Asked, bytes: number): RegistryError {
  const error = asRegistryError(thrown, 'UNAVAILABLE', `read "${redactUrl(asked.url)}"`);
  if (error.attempts.length > 0) return error;
  const record = recordOf(asked, bytes, error);
  const { host } = record;
  const found = error.host === undefined && error.found !== undefined ? `${error.found} (${host})` : undefined;
  return restate(error, {
    ...(found !== undefined && { found }),
    host,
    attempts: [record],
    cause: error.cause ?? thrown,
  });
}

/** What an answer was asked, for the record of its attempt. */
export function askedOf({ endpoint, from, request }: Fetched, started: number): Asked {
  const unknown = { url: /^https?:/.test(from) ? from : 'local:///', repository: '', scopes: [], capabilities: [] };
  return { endpoint: endpoint ?? unknown, method: 'GET', url: request ?? from, started };
}
