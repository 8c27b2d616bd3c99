import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { onAbort } from '../abort.ts';
import { cannot } from '../errors.ts';
import type { Handler } from './registry/exchange.ts';

/** Milliseconds without a byte in either direction, after which a connection is ended. */
const idle = 300_000;

/** Milliseconds for the rest of a request that was answered before it ended. */
const discardTime = 5_000;

/** Where to listen. */
export interface ListenOptions {
  /** 0 takes a free one. */
  readonly port?: number;
  readonly host?: string;
  /** PEM text of the server's certificate chain and its key: https instead of http. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** A handler on its socket. */
export interface Listening {
  /** `http://127.0.0.1:5000`, without a slash at its end. */
  readonly url: string;
  readonly port: number;
  /** Ends open connections too; what was being answered is aborted. Safe to call again. */
  close(): Promise<void>;
}

/**
 * Puts a handler on a socket. Bodies stream both ways and wait for whoever is slower; when a client goes away, the
 * `signal` of its request fires and the body of its response is cancelled. A response body that fails ends the connection,
 * so that a client never takes a part for the whole. Rejects with the system's error when the address cannot be had.
 */
export async function listen(
  handler: Handler,
  { port = 0, host = '127.0.0.1', tls }: ListenOptions = {},
): Promise<Listening> {
  const origin = (authority: string) => `${tls ? 'https' : 'http'}://${authority}`;
  const brackets = host.includes(':') ? `[${host}]` : host;
  const onRequest = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const authority = incoming.headers.host || `${brackets}:${incoming.socket.localPort}`;
    void exchange(handler, incoming, outgoing, origin(authority));
  };
  const server = tls ? createHttpsServer({ ...tls }, onRequest) : createHttpServer(onRequest);
  // A large upload may take any time, as long as it moves.
  server.requestTimeout = 0;
  server.timeout = idle;
  // All of them: `closeAllConnections` leaves those that are in a TLS handshake.
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const bound = (server.address() as AddressInfo).port;
  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  return {
    url: origin(`${brackets}:${bound}`),
    port: bound,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function exchange(handler: Handler, incoming: IncomingMessage, outgoing: ServerResponse, origin: string) {
  const gone = new AbortController();
  // Told by `close` as well, and ends the process where nobody listens.
  outgoing.on('error', () => undefined);
  outgoing.on('finish', () => discard(incoming));
  outgoing.on('close', () => {
    if (!outgoing.writableFinished) gone.abort(clientGone());
  });
  try {
    const request = requestOf(incoming, outgoing, origin, gone.signal);
    if (!request) return void outgoing.writeHead(400, { connection: 'close' }).end();
    // Its signal follows `gone` only as long as the request itself is held.
    outgoing.on('close', () => void request.signal);
    await send(await handler(request), request.method, outgoing, gone.signal);
  } catch {
    // What was sent still arrives, but not the end that would make it whole.
    if (outgoing.headersSent) return void outgoing.socket?.destroySoon();
    for (const name of outgoing.getHeaderNames()) outgoing.removeHeader(name);
    outgoing.writeHead(500, { connection: 'close' }).end();
  }
}

/** Takes what was not read of a request off its connection, which then serves the next: for so long, or ends it. */
function discard(incoming: IncomingMessage): void {
  if (incoming.complete) return;
  const late = setTimeout(() => incoming.destroy(), discardTime);
  incoming.on('close', () => clearTimeout(late));
  incoming.resume();
}

const clientGone = () => cannot('ABORTED', 'go on with the request', 'the client went away');

/** A web-standard request of Node's. Undefined for what is not a request to a server: `*`, `CONNECT` and `TRACE`, a `Host` that is none. */
function requestOf(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  origin: string,
  signal: AbortSignal,
): Request | undefined {
  const target = incoming.url ?? '';
  const method = incoming.method ?? 'GET';
  const url = target.startsWith('/') ? `${origin}${target}` : target;
  if (!URL.canParse(url) || method === 'TRACE') return undefined;
  const headers = new Headers();
  for (let index = 0; index + 1 < incoming.rawHeaders.length; index += 2) {
    headers.append(incoming.rawHeaders[index] ?? '', incoming.rawHeaders[index + 1] ?? '');
  }
  if (method === 'GET' || method === 'HEAD') return new Request(url, { method, headers, signal });
  return new Request(url, { method, headers, signal, body: bodyOf(incoming, outgoing), duplex: 'half' } as RequestInit);
}

/** A request's body. Leaving it does not end the connection, which still has to carry the answer. */
function bodyOf(incoming: IncomingMessage, outgoing: ServerResponse): ReadableStream<Uint8Array> {
  let left = false;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const leave = (then: () => void) => {
          if (!left) then();
          left = true;
        };
        incoming.on('data', (chunk: Uint8Array) => {
          if (left || outgoing.writableFinished) return;
          controller.enqueue(chunk);
          incoming.pause();
        });
        incoming.on('end', () => leave(() => controller.close()));
        incoming.on('error', () => leave(() => controller.error(clientGone())));
        incoming.on('close', () => leave(() => controller.error(clientGone())));
        incoming.pause();
      },
      pull() {
        incoming.resume();
      },
      cancel() {
        left = true;
      },
    },
    { highWaterMark: 0 },
  );
}

/** Sends a response, waiting for the client where it is slow; cancels its body when the client is gone. */
async function send(response: Response, method: string, outgoing: ServerResponse, gone: AbortSignal): Promise<void> {
  const reader = response.body?.getReader();
  const cancel = () => void reader?.cancel(gone.reason).catch(() => undefined);
  if (gone.aborted || method === 'HEAD') cancel();
  if (gone.aborted) return;
  outgoing.statusCode = response.status;
  for (const [name, value] of response.headers) outgoing.appendHeader(name, value);
  if (!reader || method === 'HEAD') return void outgoing.end();
  onAbort(gone, cancel);
  for (;;) {
    const { done, value } = await reader.read();
    if (done || gone.aborted) break;
    if (!outgoing.write(value)) await drained(outgoing);
  }
  if (!gone.aborted) outgoing.end();
}

/** Until there is room for more, or nobody to take it. */
const drained = (outgoing: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      outgoing.off('drain', done);
      outgoing.off('close', done);
      resolve();
    };
    outgoing.on('drain', done);
    outgoing.on('close', done);
  });
