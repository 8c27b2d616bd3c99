import { recordOf, withAttempt } from '../content/attempts.ts';
import { type Endpoint, redactUrl } from '../endpoint.ts';
import { cannot, codeOfStatus, type RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { readErrorBody } from '../http/error-body.ts';
import { parseRetryAfter, parseWarnings } from '../http/header-fields.ts';
import type { AddressPolicy, HttpResponse, Transport } from '../http/transport.ts';
import type { Repository } from '../oci/reference.ts';
import { type Route, toPath } from '../oci/route.ts';
import type { CallOptions } from '../source.ts';
import { quote } from '../text/quote.ts';
import type { Encodings } from './answer.ts';
import type { Kept } from './at-hand.ts';

/** What every request of a client shares. */
export interface Context {
  readonly send: Transport;
  readonly encodings: Encodings;
  readonly emit: Emit;
  readonly userAgent: string;
  readonly kept: Kept;
  /** Bytes. */
  readonly manifestBytes: number;
  readonly discardBytes: number;
  /** Most pages of a list. */
  readonly pages: number;
}

/** An endpoint, asked for a repository by a client. */
export interface Place {
  readonly endpoint: Endpoint;
  /** The repository as its users name it: under this name what was read is kept. */
  readonly repository: Repository;
  readonly context: Context;
}

export interface Question {
  readonly endpoint: Endpoint;
  /** A stranger is sent no credentials, headers or TLS settings. */
  readonly stranger?: { readonly addresses: AddressPolicy } | undefined;
  readonly method: 'GET' | 'HEAD';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The tag or digest that is to be resolved, for the message where it is not there. */
  readonly reference?: string | undefined;
}

export function questionOf(
  endpoint: Endpoint,
  method: Question['method'],
  route: Route,
  headers: Question['headers'],
): Question {
  const query = endpoint.namespace === undefined ? '' : `?ns=${encodeURIComponent(endpoint.namespace)}`;
  return { endpoint, method, url: `${endpoint.url}${toPath(route)}${query}`, headers };
}

/** An answer with a good status. */
export interface Answer {
  readonly response: HttpResponse;
  readonly warnings: readonly string[];
}

/**
 * Asks once, reads the answer's head, and hands it to `use`, whose result is the question's. What fails, there too, is
 * told with the host and the attempt, and the body is cancelled. The attempt is an event when the body has ended.
 */
export async function ask<T>(
  question: Question,
  { send, emit, userAgent }: Context,
  { signal, more, onWarning }: CallOptions,
  use: (answer: Answer) => Promise<T>,
): Promise<T> {
  const { endpoint, stranger, method, url, headers } = question;
  const asked = { endpoint, method, url, started: performance.now() };
  let response: HttpResponse | undefined;
  try {
    const known = stranger ? { addresses: stranger.addresses } : { endpoint, tls: endpoint.tls };
    response = await send({ method, url, headers: { 'user-agent': userAgent, ...headers }, signal, more, ...known });
    const warnings = parseWarnings(response.headers.warning);
    for (const text of warnings) onWarning?.(text, new URL(endpoint.url).host);
    if (response.status >= 300) throw await refusal(response, question);
    const result = await use({ response, warnings });
    if (response.ended)
      void response.ended.then(({ bytes, error }) => emit({ type: 'attempt', ...recordOf(asked, bytes, error) }));
    return result;
  } catch (thrown) {
    await response?.body.cancel(thrown).catch(() => {});
    const error = withAttempt(thrown, asked, 0);
    emit({ type: 'attempt', ...(error.attempts.at(-1) ?? recordOf(asked, 0, error)) });
    throw error;
  }
}

/** What a bad status says, with the codes of the body. */
async function refusal(response: HttpResponse, { endpoint, method, url, reference }: Question): Promise<RegistryError> {
  const { found: reported, ...facts } = await readErrorBody(response);
  const wait = parseRetryAfter(response.headers['retry-after']);
  const later = wait === undefined ? '' : `asks to wait ${Math.ceil(wait / 1000)} s`;
  const found = later === '' ? reported : `${reported}, ${later}`;
  const code = codeOfStatus(response.status);
  const details = { ...facts, host: new URL(endpoint.url).host, value: reference };
  return reference !== undefined && code === 'NOT_FOUND'
    ? cannot(code, `resolve ${quote(reference)}`, `it is not at ${new URL(endpoint.url).host} (${found})`, details)
    : cannot(code, `${method.toLowerCase()} "${redactUrl(url)}"`, found, details);
}
