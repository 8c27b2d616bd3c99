import { keepHeader, keepSecret, keepUrl } from '../redaction.ts';
import type { HttpRequest, HttpResponse, Wrapper } from './transport.ts';

/**
 * Remembers the secrets of every exchange, so that no error, event or log shows what a server repeats: credentials and
 * configured headers as they are sent, signed queries, tokens and cookies as they come.
 */
export const discretion = (): Wrapper => (next) => async (request) => {
  keepSent(request);
  const response = await next(request);
  keepReceived(response);
  return response;
};

const personal = ['authorization', 'proxy-authorization', 'cookie'];
/** Fields of a form by which a token is requested. */
const formFields = ['password', 'refresh_token'];

function keepSent({ url, headers = {}, endpoint, body }: HttpRequest): void {
  for (const name of personal) if (headers[name] !== undefined) keepHeader(name, headers[name]);
  for (const [name, value] of Object.entries(endpoint?.headers ?? {})) keepHeader(name, value);
  if (url.includes('?')) keepUrl(new URL(url));
  const form = body === undefined ? undefined : new URLSearchParams(body);
  for (const name of formFields) keepSecret(form?.get(name) ?? '');
}

function keepReceived({ url, headers }: HttpResponse): void {
  const { location, 'set-cookie': cookies = '' } = headers;
  if (location !== undefined && URL.canParse(location, url)) keepUrl(new URL(location, url));
  // Several lines are joined by commas, which dates have, too.
  for (const [, value = ''] of cookies.matchAll(/(?:^|, *)[^=;,\s]+=([^;,\s]*)/g))
    keepSecret(value.replaceAll('"', ''));
}
