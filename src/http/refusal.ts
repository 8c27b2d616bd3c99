import { discard, readAll } from '../body.ts';
import type { HttpResponse } from './transport.ts';

/** What an answer of a bad status says for itself. */
export interface Refusal {
  /** On one line, empty where it says nothing. */
  readonly words: string;
  /** Codes of the distribution-spec, `MANIFEST_UNKNOWN`. */
  readonly codes: readonly string[];
}

/** Most bytes of an error's body that are read. */
const refusalBytes = 65_536;

/**
 * What a bad status says in its JSON: `{"errors":[{"code":…,"message":…}]}` of the distribution-spec, or of token servers
 * `error` and `error_description` (RFC 6749), `details` or `message`. Its body is read or let go of.
 */
export async function refusalOf({ headers, body }: Pick<HttpResponse, 'headers' | 'body'>): Promise<Refusal> {
  const isJson = /\bjson\b/i.test(headers['content-type'] ?? '');
  const bytes = isJson ? await readAll(body, refusalBytes, 'an error', 1_000).catch(() => undefined) : undefined;
  if (!bytes) await discard(body);
  const read = bytes && parsed(bytes);
  const told = errorsOf(read?.errors);
  const words = told.map(({ code, message }) => (message ? `${code} "${message}"` : code)).join(', ');
  return { words: words || plainWords(read), codes: told.map(({ code }) => code) };
}

function parsed(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function errorsOf(errors: unknown): { code: string; message: string }[] {
  if (!Array.isArray(errors)) return [];
  return errors.slice(0, 8).flatMap((error: unknown) => {
    const { code, message } = (error ?? {}) as Record<string, unknown>;
    if (typeof code !== 'string' || !/^[\w-]{1,64}$/.test(code)) return [];
    return [{ code, message: typeof message === 'string' ? printableText(message) : '' }];
  });
}

function plainWords({ error, error_description, details, message }: Record<string, unknown> = {}): string {
  const [told] = [error_description, details, message].flatMap((text) =>
    typeof text === 'string' && text ? [text] : [],
  );
  const code = typeof error === 'string' && /^[\w-]{1,64}$/.test(error) ? error : '';
  return [code, told === undefined ? '' : `"${printableText(told)}"`].filter((part) => part !== '').join(' ');
}

/** A message of a stranger, fit for one line of a log. */
function printableText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}"]+/gu, ' ').slice(0, 200);
}
