import type { Repository } from '../index.ts';
import type { ServerEvent } from '../server/index.ts';
import { errorText, pathOf, userAgentOf } from './printable.ts';

/** Repositories with traffic that are remembered, those used last. */
const mostRepositories = 1_000;
/** Kinds of errors that are remembered, the last ones. */
const mostErrors = 50;
/** Requests under way that are described; all are counted. */
const mostDescribed = 1_000;
/** Seconds of one column of the history, and columns. */
const columnSeconds = 5;
const columns = 60;

/** A request under way. Times are milliseconds of `Date`. */
export interface ActiveRequest {
  readonly method: string;
  readonly path: string;
  readonly userAgent?: string | undefined;
  readonly address?: string | undefined;
  readonly since: number;
}

/** What was requested of a repository. */
export interface RepositoryTraffic {
  readonly name: string;
  readonly requests: number;
  /** Bytes sent. */
  readonly bytes: number;
  readonly last: number;
}

/** Requests that failed in the same way. */
export interface SeenError {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly found: string;
  readonly userAgent?: string | undefined;
  readonly count: number;
  readonly last: number;
}

/** What a server has done since it started. */
export interface Traffic {
  readonly started: number;
  readonly requests: number;
  readonly failed: number;
  /** Requests under way, and the oldest of them. */
  readonly active: number;
  readonly oldest: readonly ActiveRequest[];
  /** Bytes of bodies sent, and of content that was pushed. */
  readonly sent: number;
  readonly pushed: number;
  /** Those used last first. */
  readonly repositories: readonly RepositoryTraffic[];
  /** The last ones first. */
  readonly errors: readonly SeenError[];
  /** Bytes sent and requests ended in each column of the last minutes, the oldest first. */
  readonly history: {
    readonly seconds: number;
    readonly bytes: readonly number[];
    readonly requests: readonly number[];
  };
}

/** Counts requests. Its memory does not grow with their number. */
export interface Statistics {
  begin(request: Request, address?: string): void;
  end(event: ServerEvent): void;
  /** A request that does not count. */
  forget(request: Request): void;
  /** Number of requests under way. */
  readonly active: number;
  traffic(): Traffic;
}

/** Sets a value as the newest, and forgets the oldest of too many. */
function keepNewest<Key, Value>(map: Map<Key, Value>, key: Key, value: Value, most: number): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= most) return;
    map.delete(oldest);
  }
}

/** A check before a push, or the first request of a login, fails without anything being wrong. */
function isProblem({ request, status, error }: ServerEvent): boolean {
  if (status < 400) return error !== undefined;
  if (status === 401) return request.headers.has('authorization');
  return !(status === 404 && request.method === 'HEAD');
}

/** What the repositories are called, and in tests the clock, in milliseconds. */
export interface StatisticsOptions {
  readonly labelOf?: ((repository: Repository) => string | undefined) | undefined;
  readonly now?: () => number;
}

const nameOf = ({ name }: Repository): string => name;

/** Begins to count. */
export function createStatistics({ labelOf = nameOf, now = Date.now }: StatisticsOptions = {}): Statistics {
  const started = now();
  const active = new Map<Request, { readonly since: number; readonly address: string | undefined }>();
  const repositories = new Map<string, RepositoryTraffic>();
  const errors = new Map<string, SeenError>();
  const history = createHistory(now);
  const totals = { requests: 0, failed: 0, active: 0, sent: 0, pushed: 0 };

  const noteRepository = (name: string, bytes: number): void => {
    const before = repositories.get(name);
    const found = { name, requests: (before?.requests ?? 0) + 1, bytes: (before?.bytes ?? 0) + bytes, last: now() };
    keepNewest(repositories, name, found, mostRepositories);
  };
  const noteError = ({ request, status, error }: ServerEvent): void => {
    const [method, path] = [request.method, pathOf(request)];
    const found = errorText(error) ?? '';
    const key = `${status} ${method} ${path}`;
    const count = (errors.get(key)?.count ?? 0) + 1;
    keepNewest(
      errors,
      key,
      { method, path, status, found, userAgent: userAgentOf(request), count, last: now() },
      mostErrors,
    );
  };

  return {
    begin(request, address) {
      totals.active += 1;
      if (active.size < mostDescribed) active.set(request, { since: now(), address });
    },
    end(event) {
      const { request, action, descriptor, repository, status, bytes } = event;
      active.delete(request);
      totals.active -= 1;
      totals.requests += 1;
      totals.sent += bytes;
      history.add(bytes);
      if (action === 'push' && status < 300) totals.pushed += descriptor?.size ?? 0;
      // Names that nobody has are the requester's invention.
      const label = repository && status < 400 ? labelOf(repository) : undefined;
      if (label !== undefined) noteRepository(label, bytes);
      if (!isProblem(event)) return;
      totals.failed += 1;
      noteError(event);
    },
    forget(request) {
      active.delete(request);
      totals.active -= 1;
    },
    get active() {
      return totals.active;
    },
    traffic: () => ({
      started,
      ...totals,
      oldest: [...active].slice(0, 20).map(([request, { since, address }]) => {
        const { method } = request;
        return { method, path: pathOf(request), userAgent: userAgentOf(request), address, since };
      }),
      repositories: [...repositories.values()].reverse(),
      errors: [...errors.values()].reverse(),
      history: history.columns(),
    }),
  };
}

/** Bytes and requests of the last minutes, in a ring. */
function createHistory(now: () => number) {
  const bytes = new Array<number>(columns).fill(0);
  const requests = new Array<number>(columns).fill(0);
  const columnNow = (): number => Math.floor(now() / 1000 / columnSeconds);
  let newest = columnNow();
  /** Moves to the column of this moment; those passed over are empty. A clock set back changes nothing. */
  const advance = (): number => {
    const current = columnNow();
    for (let at = Math.max(newest + 1, current - columns + 1); at <= current; at++) {
      bytes[at % columns] = 0;
      requests[at % columns] = 0;
    }
    newest = Math.max(newest, current);
    return newest % columns;
  };
  return {
    add(sent: number) {
      const at = advance();
      bytes[at] = (bytes[at] ?? 0) + sent;
      requests[at] = (requests[at] ?? 0) + 1;
    },
    columns() {
      const start = advance() + 1;
      const inOrder = (ring: readonly number[]): number[] => [...ring.slice(start), ...ring.slice(0, start)];
      return { seconds: columnSeconds, bytes: inOrder(bytes), requests: inOrder(requests) };
    },
  };
}
