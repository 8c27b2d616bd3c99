import type { IncomingMessage } from 'node:http';
import { parsePath, type Route } from '../oci/route.ts';
import { type AnyFault, bodyNames, breakNames, responseNames, type TestRequest } from './faults.ts';

/** A request while its response is made. */
export type OpenRequest = { -readonly [Key in keyof TestRequest]: TestRequest[Key] };

/** What a request of Node's server is. */
export function requestOf({ method = 'GET', url: path = '/', headers: sent }: IncomingMessage): OpenRequest {
  const pathname = /^[^?]*/.exec(path)?.[0] ?? '';
  const route = /^\/v2(?:\/|$)/.test(pathname) ? parsePath(pathname.slice('/v2'.length)) : undefined;
  const headers = Object.fromEntries(Object.entries(sent).map(([name, value]) => [name, String(value)]));
  const { range, host = '' } = headers;
  return {
    method,
    path,
    kind: route?.kind ?? (pathname === '/token' ? 'token' : 'other'),
    repository: route && 'name' in route ? route.name : undefined,
    reference: route && referenceOf(route),
    host,
    headers,
    line: [method, path, range].filter((part) => part !== undefined).join(' '),
  };
}

function referenceOf(route: Route): string | undefined {
  if (route.kind === 'manifest') return route.reference;
  if (route.kind === 'upload') return route.id;
  return 'digest' in route ? route.digest : undefined;
}

/** Faults in their order, and how often each was met. */
export interface Script {
  readonly add: (fault: AnyFault) => void;
  readonly clear: () => void;
  /** The fault that a request has; counts it. */
  readonly faultOf: (request: TestRequest) => AnyFault | undefined;
}

export function createScript(): Script {
  const faults: { readonly fault: AnyFault; met: number }[] = [];
  return {
    add: (fault) => void faults.push({ fault, met: 0 }),
    clear: () => void faults.splice(0),
    faultOf: (request) => {
      const met = faults.filter(({ fault }) => fits(fault, request));
      for (const one of met) one.met += 1;
      return met.find(({ fault, met: count }) => isTurn(fault.nth, count))?.fault;
    },
  };
}

const listOf = <T>(value: T | readonly T[]): readonly T[] => (Array.isArray(value) ? value : [value as T]);

function fits(fault: AnyFault, request: TestRequest): boolean {
  const { method, kind, repository, reference, host, when } = fault;
  if (method === undefined ? request.method === 'HEAD' && isOfBody(fault) : !listOf(method).includes(request.method))
    return false;
  if (kind !== undefined && !listOf(kind).includes(request.kind)) return false;
  if (host !== undefined && host !== request.host && host !== request.host.replace(/:\d+$/, '')) return false;
  if (!isMatch(repository, request.repository) || !isMatch(reference, request.reference)) return false;
  return when === undefined || when(request);
}

/** A response without a body would not show it. */
const isOfBody = (fault: AnyFault): boolean =>
  (bodyNames.some((name) => fault[name] !== undefined) ||
    breakNames.some((name) => typeof fault[name] === 'number' && name !== 'down')) &&
  [...responseNames, 'delay' as const, 'headers' as const].every((name) => fault[name] === undefined);

function isMatch(wanted: string | RegExp | undefined, found: string | undefined): boolean {
  if (wanted === undefined || typeof wanted === 'string') return wanted === undefined || wanted === found;
  // Not `test`, which begins where it ended, if the pattern is a global one.
  return found !== undefined && found.search(wanted) !== -1;
}

function isTurn(nth: AnyFault['nth'], count: number): boolean {
  if (nth === undefined) return true;
  if (typeof nth === 'object' && !Array.isArray(nth)) {
    const { from = 1, to = Number.POSITIVE_INFINITY } = nth as { readonly from?: number; readonly to?: number };
    return count >= from && count <= to;
  }
  return listOf(nth as number | readonly number[]).includes(count);
}
