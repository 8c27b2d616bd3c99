import { redactUrl } from '../endpoint.ts';
import { cannot } from '../errors.ts';
import { parseTarget, policyAfter } from '../http/address.ts';
import type { HttpResponse } from '../http/transport.ts';
import { nextLink } from '../oci/link.ts';
import type { Question } from './exchange.ts';

/** A question with more in its query. */
export function withQuery(question: Question, query: string): Question {
  const { url } = question;
  return { ...question, url: `${url}${url.includes('?') ? '&' : '?'}${query}` };
}

/**
 * The page that the `Link` of an answer names, asked for as the answer's own was; undefined where it names none. It is
 * taken from the URL that answered, and must be at its origin: `UNSAFE_URL`. Where that is another one than the
 * endpoint's, after a redirect, the next page is asked for as a stranger's: nothing of the endpoint goes there, and it may
 * be at a private address only where this one was.
 */
export function nextQuestion(response: HttpResponse, question: Question): Question | undefined {
  const link = nextLink(response.headers.link);
  const answered = response.url;
  if (link === undefined) return undefined;
  const target = parseTarget(link, answered, 'a Link');
  target.hash = '';
  if (target.origin !== new URL(answered).origin) {
    const found = 'it is at another origin';
    const attempted = `follow a Link of "${redactUrl(answered)}" to "${redactUrl(target)}"`;
    throw cannot('UNSAFE_URL', attempted, found, { host: new URL(answered).host });
  }
  const { endpoint } = question;
  if (question.stranger || target.origin !== new URL(endpoint.url).origin) {
    return { ...question, url: target.href, stranger: { addresses: policyAfter('any', response) } };
  }
  // A proxy that takes a prefix off its paths seldom puts it back into what it hands on.
  const { pathname } = new URL(question.url);
  if (target.pathname.startsWith('/v2/') && pathname.endsWith(target.pathname)) target.pathname = pathname;
  const next = { ...question, url: target.href };
  const lacksNamespace = endpoint.namespace !== undefined && !target.searchParams.has('ns');
  return lacksNamespace ? withQuery(next, `ns=${encodeURIComponent(endpoint.namespace)}`) : next;
}
