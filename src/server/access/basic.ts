import { wrapHandler } from '../direct.ts';
import type { Handler } from '../registry/exchange.ts';
import { noteActor } from './actor.ts';
import { type AccessCheck, type AllowAccess, allowsAll } from './check.ts';
import { type BasicLogin, basic, basicOf, type LoginCheck, loginOf, parameters, unauthorized } from './credentials.ts';

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

export const isUser = (users: Users = {}, { username, password }: BasicLogin): boolean =>
  Object.hasOwn(users, username) && users[username] === password;

/** Who may log in with a name and password, and what they may do. */
export interface BasicCheckOptions {
  readonly realm: string;
  readonly login: LoginCheck;
  /** Default: every user everything, and nobody else anything. */
  readonly allow?: AllowAccess | undefined;
}

/**
 * Access with logins in every request. Without one, what everyone may do is passed, and everything else is challenged: the
 * base route always, as clients learn there how to log in. A wrong login is challenged, a right one that may not is denied.
 */
export const basicCheck =
  ({ realm, login, allow }: BasicCheckOptions): AccessCheck =>
  async ({ request, needed, connection }) => {
    const sent = loginOf(request);
    const challenge = { kind: 'challenge', challenge: `Basic ${parameters({ realm })}` } as const;
    if (sent === undefined) {
      const isOpen = allow && needed.length > 0 && (await allowsAll(allow, undefined, needed));
      return isOpen ? { kind: 'granted' } : challenge;
    }
    if (sent === null || !(await login(sent, connection))) return challenge;
    const isAllowed = !allow || (await allowsAll(allow, sent.username, needed));
    return isAllowed ? { kind: 'granted', actor: sent.username } : { kind: 'denied' };
  };
