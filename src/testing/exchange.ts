import { sleep } from '../abort.ts';
import { messageOf } from '../errors.ts';
import { basicAccess, type Users } from '../server/access/basic.ts';
import { tokenAccess } from '../server/access/tokens.ts';
import type { Handler } from '../server/registry/exchange.ts';
import { problem } from '../server/registry/problem.ts';
import { serve } from '../server/registry/serve.ts';
import type { ServeOptions } from '../server/registry/serve-options.ts';
import type { Registry } from '../source.ts';
import type { AnyFault, TestRequest } from './faults.ts';
import { breakOfHead, type ResponseEnd, responseOf, sendFaulty } from './faulty-response.ts';
import { type TestConnection, webRequest } from './faulty-server.ts';
import { createScript, type OpenRequest, requestOf, type Script } from './script.ts';

/** Who may use a registry for tests. */
export interface TestAccess {
  /** What requests must have: a token of its own token endpoint, or a login. Default: nothing; `token` with `users`. */
  readonly access?: 'token' | 'basic' | undefined;
  /** Who may get tokens or log in, to read and to write. With `token` and without `users`: everyone. */
  readonly users?: Users | undefined;
}

/** What a registry for tests sends, and what it remembers. */
export interface TestExchange {
  readonly script: Script;
  readonly requests: readonly TestRequest[];
  respond(connection: TestConnection): Promise<ResponseEnd>;
  /** Who is called if a fault wants the registry to be down: until further notice, or for so many milliseconds. */
  onDown(stop: (milliseconds?: number) => Promise<void>): void;
  /** Forgets faults, requests, and which tokens have expired. */
  reset(): void;
}

export function createExchange(
  registry: Registry,
  { serve: rules, ...access }: TestAccess & { readonly serve?: ServeOptions | undefined },
): TestExchange {
  const script = createScript();
  const requests: OpenRequest[] = [];
  const expired = new Set<string>();
  const handle = withAccess(serve(registry, rules), access);
  let stop: (milliseconds?: number) => Promise<void> = async () => {};

  /** What the registry itself says to a request. */
  const ask = (
    connection: TestConnection,
    { headers, path, host }: TestRequest,
    fault: AnyFault,
  ): Promise<Response> => {
    const [, token] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
    if (fault.expiredToken && token !== undefined) expired.add(token);
    const isExpired = token !== undefined && expired.has(token);
    const changes = { ...(isExpired && { authorization: 'Bearer expired' }) };
    const request = webRequest(connection, new URL(path, `http://${host || 'localhost'}`).href, changes);
    if (fault.ignoreRange) request.headers.delete('range');
    return handle(request);
  };

  const respond = async (connection: TestConnection, request: OpenRequest): Promise<ResponseEnd> => {
    const found = script.faultOf(request);
    const fault = found ?? {};
    request.fault = found;
    if (fault.delay !== undefined) await sleep(fault.delay, connection.signal);
    if (fault.down !== undefined) {
      await stop(fault.down === true ? undefined : fault.down);
      return 'reset';
    }
    const { socket } = connection.outgoing;
    if (fault.raw !== undefined) socket?.write(fault.raw);
    const early = fault.raw === undefined ? breakOfHead(fault) : 'cut';
    if (early) return early;
    const response = responseOf(fault, request) ?? (await ask(connection, request, fault));
    return sendFaulty(response, connection.outgoing, request);
  };

  return {
    script,
    requests,
    respond: async (connection) => {
      const request = requestOf(connection.incoming);
      requests.push(request);
      return respond(connection, request).catch((error) => failed(connection, request, error));
    },
    onDown: (given) => {
      stop = given;
    },
    reset: () => {
      script.clear();
      requests.splice(0);
      expired.clear();
    },
  };
}

/** A function of the test threw, or a body broke. */
async function failed({ outgoing }: TestConnection, request: OpenRequest, error: unknown): Promise<ResponseEnd> {
  if (outgoing.headersSent) return 'cut';
  for (const name of outgoing.getHeaderNames()) outgoing.removeHeader(name);
  const response = problem(500, 'UNKNOWN', messageOf(error));
  return sendFaulty(response, outgoing, Object.assign(request, { fault: undefined }));
}

function withAccess(handle: Handler, { access, users }: TestAccess): Handler {
  const kind = kindOfAccess({ access, users });
  if (kind === undefined) return handle;
  if (kind === 'basic') return basicAccess({ realm: 'test', users: users ?? {} })(handle);
  const { protect, token } = tokenAccess({ realm: '/token', service: 'test', ...(users && { users }) });
  const protectedHandle = protect(handle);
  return (request) => (new URL(request.url).pathname === '/token' ? token(request) : protectedHandle(request));
}

/** Users without a kind of access get tokens. */
export const kindOfAccess = ({ access, users }: TestAccess): TestAccess['access'] => access ?? (users && 'token');
