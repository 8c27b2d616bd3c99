import { RegistryError } from '../../errors.ts';
import { formatScope, type Scope } from '../../oci/scope.ts';
import { wrapHandler } from '../direct.ts';
import type { Connection, Handler } from '../registry/exchange.ts';
import { problem, problemOf } from '../registry/problem.ts';
import { noteActor } from './actor.ts';
import { parameters } from './credentials.ts';
import { accessOf } from './needed.ts';

/** What an access check is asked. */
export interface AccessRequest {
  readonly request: Request;
  /** What must be allowed, all of it; nothing for the base route. */
  readonly needed: readonly Scope[];
  readonly connection?: Connection | undefined;
}

/** What an access check answers. */
export type AccessOutcome =
  /** Passed on; the actor is the name of who sent it, if it is known. */
  | { readonly kind: 'granted'; readonly actor?: string | undefined }
  /** 401, with this value of `WWW-Authenticate`. */
  | { readonly kind: 'challenge'; readonly challenge: string }
  /** 403: another login would be needed. */
  | { readonly kind: 'denied' };

/**
 * Decides on a request by what it needs, never by what the registry has: so the answer for a repository that is missing is that
 * for one that is not shown. `RATE_LIMITED` becomes 429; whatever else it rejects with becomes 400 without a body.
 */
export type AccessCheck = (asked: AccessRequest) => Promise<AccessOutcome>;

/** Whether a user, undefined without a login, may do this in a repository; in `registry:catalog` the action `*` lists all. */
export type AllowAccess = (user: string | undefined, repository: string, action: string) => boolean | Promise<boolean>;

/** How a check is put before a handler. */
export interface ControlOptions {
  /** What is before `/v2` in the paths of the API. Default: nothing. */
  readonly prefix?: string | undefined;
  /** A check that could not decide. What it says is not sent. */
  readonly onError?: ((error: unknown, request: Request) => void) | undefined;
}

/** Puts an access check before a handler. What it lets pass has an actor in events. */
export const controlAccess =
  (check: AccessCheck, { prefix, onError }: ControlOptions = {}): ((next: Handler) => Handler) =>
  (next) =>
    wrapHandler(next, async (request, connection) => {
      const needed = accessOf(request, prefix);
      try {
        const outcome = await check({ request, needed, connection });
        if (outcome.kind === 'granted') {
          if (outcome.actor !== undefined) noteActor(request, outcome.actor);
          return next(request, connection);
        }
        return refused(request, outcome.kind === 'denied' ? denial() : challenged(outcome.challenge, needed));
      } catch (error) {
        const isLimit = error instanceof RegistryError && error.code === 'RATE_LIMITED';
        if (!isLimit) onError?.(error, request);
        return refused(request, isLimit ? problemOf(error, { unknown: 'UNKNOWN', writes: false }) : undecided());
      }
    });

function refused({ method }: Request, response: Response): Response {
  response.headers.set('docker-distribution-api-version', 'registry/2.0');
  return method === 'HEAD' ? new Response(null, response) : response;
}

const denial = (): Response => problem(403, 'DENIED', 'requested access to the resource is denied');

const undecided = (): Response => new Response(null, { status: 400, headers: { 'content-length': '0' } });

/** 401 as distribution writes it: its clients show the detail. */
function challenged(challenge: string, needed: readonly Scope[]): Response {
  const detail = needed.flatMap(({ type, name, actions }) =>
    actions.map((action) => ({ Type: type, Class: '', Name: name, Action: action })),
  );
  const headers = { 'www-authenticate': challenge };
  return problem(401, 'UNAUTHORIZED', 'authentication required', headers, detail.length > 0 ? detail : null);
}

/** Whether all that is needed is allowed. */
export async function allowsAll(
  allow: AllowAccess,
  user: string | undefined,
  needed: readonly Scope[],
): Promise<boolean> {
  for (const { type, name, actions } of needed) {
    const target = type === 'repository' ? name : `${type}:${name}`;
    for (const action of actions) if (!(await allow(user, target, action))) return false;
  }
  return true;
}

/** Lets every request pass that has an `Authorization` header, whatever is in it. Only for tests of clients. */
export const sillyCheck =
  ({ realm, service }: { readonly realm: string; readonly service: string }): AccessCheck =>
  async ({ request, needed }) => {
    if (request.headers.get('authorization')) return { kind: 'granted', actor: 'silly' };
    const scope = needed.flatMap((one) => one.actions.map((action) => formatScope({ ...one, actions: [action] })));
    return { kind: 'challenge', challenge: `Bearer ${parameters({ realm, service, scope: scope.join(' ') })}` };
  };
