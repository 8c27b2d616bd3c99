import { createHash } from 'node:crypto';
import type { Handler } from '../server/index.ts';
import { statusPage } from './page.ts';
import { pageScript, pageStyle } from './page-parts.ts';
import type { SiteStatus } from './site.ts';

/** What the page shows, and where it is. */
export interface PageOptions {
  readonly status: () => Promise<SiteStatus>;
  /** `/` is somebody else's: the page is only at `/status`. */
  readonly hasHome?: boolean | undefined;
}

/** The page and its status as a part of a server. */
export interface PageRoute {
  /** Whether a request is for it. */
  has(request: Request): boolean;
  readonly respond: Handler;
}

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Nothing is loaded from anywhere, nothing runs but the page's own script, and no other page may contain it. */
const policy = [
  "default-src 'none'",
  `script-src ${hashOf(pageScript)}`,
  `style-src ${hashOf(pageStyle)}`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const headers = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': policy,
  vary: 'accept',
};

/** The page at `/`, and at `/status` for browsers; JSON of the same at `/status` for all others. */
export function pageRoute({ status, hasHome = false }: PageOptions): PageRoute {
  const paths = hasHome ? ['/status'] : ['/', '/status'];
  const respond: Handler = async (request) => {
    const { method } = request;
    if (method !== 'GET' && method !== 'HEAD')
      return new Response(null, { status: 405, headers: { allow: 'GET, HEAD' } });
    const isPage = pathOf(request) === '/' || /\btext\/html\b/.test(request.headers.get('accept') ?? '');
    const found = await status();
    const body = isPage ? statusPage(found) : `${JSON.stringify(jsonOf(found), undefined, 2)}\n`;
    const type = isPage ? 'text/html; charset=utf-8' : 'application/json';
    const bytes = new TextEncoder().encode(body);
    const described = { ...headers, 'content-type': type, 'content-length': String(bytes.length) };
    return new Response(method === 'HEAD' ? null : bytes, { headers: described });
  };
  return { has: (request) => paths.includes(pathOf(request)), respond };
}

const pathOf = ({ url }: Request): string => new URL(url).pathname;

/** The same for programs, with times as texts. */
function jsonOf({ kind, about, time, traffic, repositories, facts }: SiteStatus): Readonly<Record<string, unknown>> {
  const { started, requests, failed, active, oldest, sent, pushed, errors, history } = traffic;
  const written = (moment: number): string => new Date(moment).toISOString();
  const timed = <Entry extends { readonly last: number }>(entries: readonly Entry[]) =>
    entries.map((entry) => ({ ...entry, last: written(entry.last) }));
  return {
    kind,
    about,
    time: written(time),
    started: written(started),
    requests,
    failed,
    bytes: { sent, pushed },
    active: { total: active, oldest: oldest.map((entry) => ({ ...entry, since: written(entry.since) })) },
    ...facts?.json,
    repositories: { ...repositories, used: timed(traffic.repositories.slice(0, mostUsed)) },
    errors: timed(errors),
    history,
  };
}

/** Most repositories with traffic in the JSON. */
const mostUsed = 100;
