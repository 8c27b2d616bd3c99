import { isRepositoryName } from '../../oci/reference.ts';
import { parsePath, type Route } from '../../oci/route.ts';
import type { Scope } from '../../oci/scope.ts';

/** Listing all repositories is not about one of them. */
export const catalogAccess: Scope = { type: 'registry', name: 'catalog', actions: ['*'] };

/** What a method does to a repository; other methods do nothing, and are refused later. */
const actionsOf = new Map<string, readonly string[]>([
  ['GET', ['pull']],
  ['HEAD', ['pull']],
  ['POST', ['pull', 'push']],
  ['PUT', ['pull', 'push']],
  ['PATCH', ['pull', 'push']],
  ['DELETE', ['delete']],
]);

/**
 * What a request may only do with permission, as distribution has it: `pull` to read, `pull` and `push` to write, `delete`;
 * `registry:catalog:*` for the list of repositories; nothing for the base route, paths that are not of the API, and unknown
 * methods. `from` is the repository that a blob is to be mounted from, which must be readable, too.
 */
function neededAccess(method: string, route: Route | undefined, from?: string | undefined): Scope[] {
  if (!route || route.kind === 'base') return [];
  if (route.kind === 'catalog') return [catalogAccess];
  const actions = actionsOf.get(method);
  if (!actions) return [];
  const repository = (name: string, what: readonly string[]): Scope => ({ type: 'repository', name, actions: what });
  const isMount = route.kind === 'uploads' && from !== undefined && from !== route.name && isRepositoryName(from);
  return [repository(route.name, actions), ...(isMount ? [repository(from, ['pull'])] : [])];
}

/** What a request needs that was sent to an API root below `prefix`, such as `/team` for `/team/v2/`. */
export function accessOf({ method, url }: Pick<Request, 'method' | 'url'>, prefix = ''): Scope[] {
  const { pathname, searchParams } = new URL(url);
  const from = searchParams.has('mount') ? searchParams.get('from') : null;
  return neededAccess(method, routeOf(pathname, prefix), from ?? undefined);
}

export function routeOf(pathname: string, prefix = ''): Route | undefined {
  const root = `${prefix}/v2`;
  if (pathname !== root && !pathname.startsWith(`${root}/`)) return undefined;
  return parsePath(pathname.slice(root.length));
}

/** Whether all actions were granted; `*` is all of them. */
export const covers = (granted: readonly Scope[], { type, name, actions }: Scope): boolean =>
  actions.every((action) =>
    granted.some(
      (scope) =>
        scope.type === type && scope.name === name && (scope.actions.includes(action) || scope.actions.includes('*')),
    ),
  );
