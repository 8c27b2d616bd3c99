import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { cannot } from '../errors.ts';
import type { ResponseEnd } from './faulty-response.ts';

/** A server on one port of 127.0.0.1, which can be down for a while. */
export interface FaultyServer {
  readonly port: number;
  /** Connections that are open. */
  readonly connections: () => number;
  /** Resets all connections and refuses new ones, until `start` or for so many milliseconds. */
  stop(milliseconds?: number): Promise<void>;
  /** Listens again. Rejects with the system's error if another program has taken the port meanwhile; `CLOSED`. */
  start(): Promise<void>;
  /** Stops for good. */
  close(): Promise<void>;
}

/** One exchange on its connection. */
export interface TestConnection {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  /** Fires if the client leaves before the response is complete. */
  readonly signal: AbortSignal;
}

/** PEM text of a certificate chain and its key. */
export interface ServerKeys {
  readonly cert: string;
  readonly key: string;
}

/** A server that ends each response as `respond` says, which never rejects. */
export async function faultyServer(
  respond: (connection: TestConnection) => Promise<ResponseEnd>,
  tls?: ServerKeys,
): Promise<FaultyServer> {
  // Those below TLS, too: only they can be reset, and be closed in a handshake.
  const sockets = new Set<Socket>();
  const onRequest = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const gone = new AbortController();
    outgoing.on('error', () => undefined);
    outgoing.on('finish', () => incoming.resume());
    outgoing.on('close', () => {
      if (!outgoing.writableFinished) gone.abort(cannot('ABORTED', 'continue the request', 'the client disconnected'));
    });
    void respond({ incoming, outgoing, signal: gone.signal }).then((end) => finish(end, outgoing, sockets));
  };
  const server = tls ? createHttpsServer({ ...tls }, onRequest) : createHttpServer(onRequest);
  server.requestTimeout = 0;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  let port = 0;
  let isClosed = false;
  let pause: ReturnType<typeof setTimeout> | undefined;
  const start = async (): Promise<void> => {
    clearTimeout(pause);
    if (isClosed) throw cannot('CLOSED', 'start the registry', 'it was closed');
    if (server.listening) return;
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  };
  const stop = async (milliseconds?: number): Promise<void> => {
    clearTimeout(pause);
    if (milliseconds !== undefined) pause = setTimeout(() => void start().catch(() => undefined), milliseconds);
    if (!server.listening) return;
    const closed = [server, ...sockets].map((one) => once(one, 'close'));
    server.close();
    for (const socket of sockets) socket.resetAndDestroy();
    await Promise.all(closed);
  };
  await start();
  return {
    port,
    connections: () => sockets.size,
    start,
    stop,
    close: async () => {
      isClosed = true;
      await stop();
    },
  };
}

/** Milliseconds before a reset: a client that gets it together with data does not see that it was one. */
const beforeReset = 20;

function finish(end: ResponseEnd, outgoing: ServerResponse, sockets: Iterable<Socket>): void {
  const { socket } = outgoing;
  if (end === 'end') outgoing.end();
  if (end === 'cut') socket?.destroySoon();
  if (end !== 'reset') return;
  const reset = (): void => {
    for (const one of sockets) if (one === socket || one.remotePort === socket?.remotePort) one.resetAndDestroy();
  };
  // A client in this process reads what has arrived between the two.
  if (outgoing.headersSent) setTimeout(() => setImmediate(reset), beforeReset);
  else reset();
}

/** The web-standard request for one of Node. */
export function webRequest({ incoming, signal }: TestConnection, url: string, changes: HeadersInit): Request {
  const { method = 'GET', rawHeaders } = incoming;
  const headers = new Headers();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    headers.append(rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '');
  }
  for (const [name, value] of new Headers(changes)) headers.set(name, value);
  if (method === 'GET' || method === 'HEAD') return new Request(url, { method, headers, signal });
  const chunks = incoming[Symbol.asyncIterator]();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    // Not the iterator's `return`, which would close the connection that the response needs.
    cancel: () => void incoming.resume(),
  });
  return new Request(url, { method, headers, signal, body, duplex: 'half' } as RequestInit);
}
