import type { Connection } from '../registry/exchange.ts';
import { problem } from '../registry/problem.ts';

/** A user name and password. */
export interface BasicLogin {
  readonly username: string;
  readonly password: string;
}

/** Whether a login is right. `RATE_LIMITED` if it cannot be checked now, which becomes 429. */
export type LoginCheck = (login: BasicLogin, connection?: Connection) => boolean | Promise<boolean>;

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

/** As `basicOf`; undefined for a request without a login. skopeo and podman send an empty one when they have none. */
export function loginOf(request: Request): BasicLogin | null | undefined {
  if (!request.headers.has('authorization')) return undefined;
  const login = basicOf(request);
  return login?.username === '' && login.password === '' ? undefined : login;
}

/** The bearer token of a request; undefined without one. */
export const bearerOf = (request: Request): string | undefined =>
  /^Bearer +(\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];

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
