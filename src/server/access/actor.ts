const actors = new WeakMap<Request, string>();

/** Notes who sent a request: an access check that has let it pass. */
export const noteActor = (request: Request, name: string): void => void actors.set(request, name);

/** Name of the user who sent a request; undefined if nobody checked, and for everyone without a login. */
export const actorOf = (request: Request): string | undefined => actors.get(request);
