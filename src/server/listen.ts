import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Handler } from './exchange.ts';
import { clientGone, requestOf, send } from './node-messages.ts';

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
