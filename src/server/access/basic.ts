import { wrapHandler } from '../direct.ts';
import type { Handler } from '../registry/exchange.ts';
import { problem } from '../registry/problem.ts';
import { noteActor } from './actor.ts';

/** Passwords by user name. */
export type Users = Readonly<Record<string, string>>;

/** Passes only requests of these users; others get 401 with a `Basic` challenge. */
export const basicAccess =
  ({ realm, users }: { readonly realm: string; readonly users: Users }): ((next: Handler) => Handler) =>
  (next) =>
    wrapHandler(next, async (request, connection) => {
      const login = basicOf(request);
      if (!login || !isUser(users, login)) return unauthorized(request, basic(realm));
      noteActor(request, login.username);
      return next(request, connection);
    });

export interface BasicLogin {
  readonly username: string;
  readonly password: string;
}

export const isUser = (users: Users = {}, { username, password }: BasicLogin): boolean =>
  Object.hasOwn(users, username) && users[username] === password;

/** The Basic login of a request; null without one, or if it cannot be read. */
export function basicOf(request: Request): BasicLogin | null {
  const [, encoded] = /^Basic +(\S+)$/i.exec(request.headers.get('authorization') ?? '') ?? [];
  if (encoded === undefined) return null;
  try {
    const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
    const [, username, password] = /^([^:]*):(.*)$/s.exec(new TextDecoder().decode(bytes)) ?? [];
    return username === undefined || password === undefined ? null : { username, password };
  } catch {
    return null;
  }
}

/** The `Basic` challenge. */
export const basic = (realm: string): string => `Basic ${parameters({ realm, charset: 'UTF-8' })}`;

/** `name="value"` pairs; an undefined or empty value is left out. */
export const parameters = (values: Readonly<Record<string, string | undefined>>): string =>
  Object.entries(values)
    .filter(([, value]) => value)
    .map(([name, value]) => `${name}="${value?.replace(/["\\]/g, '\\$&')}"`)
    .join(',');

/** 401 with a challenge, in the form of the specification. */
export function unauthorized(request: Request, challenge: string): Response {
  const headers = { 'www-authenticate': challenge, 'docker-distribution-api-version': 'registry/2.0' };
  const response = problem(401, 'UNAUTHORIZED', 'Authentication is required', headers);
  return request.method === 'HEAD' ? new Response(null, response) : response;
}
