import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { checkPlain } from '../text/problems.ts';
import { isDirect, type Prompt, promptlyOf } from './direct.ts';
import { unusable, watchConnections } from './node/connections.ts';
import { createRequester, requestOf } from './node/request.ts';
import { send, sendPrompt } from './node/send.ts';
import { answerPlain, certificateOf, type ListenTls, tlsOptions } from './node/tls.ts';
import type { Connection, Handler } from './registry/exchange.ts';

/** What has no `Host` is refused in the form of all other refusals. */
const lenient = { requireHostHeader: false };

/** Milliseconds that a client may take for its part without a byte in either direction. */
const defaultIdle = 300_000;

/** Milliseconds for the rest of a request after its response. */
const discardTime = 5_000;

/** Where to listen. */
export interface ListenOptions {
  /** Default 0: a free one. */
  readonly port?: number;
  readonly host?: string;
  /** For https. A plain HTTP request is then 400. */
  readonly tls?: ListenTls;
  /** Most connections at a time; further ones are closed at once. Default: no limit. */
  readonly connections?: number;
  /**
   * Milliseconds without a byte in either direction after which a connection is closed. A client does not have to wait in them
   * for the response: how long that takes is the handler's business. Default 300,000.
   */
  readonly idle?: number;
}

/** A handler on its socket. */
export interface Listening {
  /** `http://127.0.0.1:5000`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /**
   * Takes no more connections, and closes those that are open. Requests under way have `drain` milliseconds to end (default
   * 0); then they are aborted. Safe to call again, to wait no longer.
   */
  close(options?: { readonly drain?: number }): Promise<void>;
}

/**
 * Puts a handler on a socket. Bodies stream both ways with backpressure. When a client disconnects, the `signal` of its
 * request fires and the body of its response is cancelled. A response body that fails closes the connection, so that a
 * client never takes a part for the whole. The head of a request has at most 16 KiB and 60 s. Rejects with the system's error if the
 * address cannot be used, with Node's for a certificate or key that it cannot read, and with `INVALID_CONFIG`.
 */
export async function listen(handler: Handler, options?: ListenOptions): Promise<Listening> {
  checkPlain('listen', options);
  const { port = 0, host = '127.0.0.1', tls, connections, idle = defaultIdle } = options ?? {};
  const origin = (authority: string) => `${tls ? 'https' : 'http'}://${authority}`;
  const brackets = host.includes(':') ? `[${host}]` : host;
  const promptly = promptlyOf(handler);
  const run = (incoming: IncomingMessage, outgoing: ServerResponse, prompt: Exchanged['prompt']): void => {
    running.add(outgoing);
    outgoing.on('close', () => {
      running.delete(outgoing);
      if (!server.listening) incoming.socket.destroySoon();
    });
    const authority = incoming.headers.host || `${brackets}:${incoming.socket.localPort}`;
    void exchange(handler, { incoming, outgoing, prompt }, origin(authority));
  };
  const onRequest = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    // One that has to be waited for, and all that needs to be watched, takes the long way.
    const prompt = server.listening ? promptly?.(incoming) : undefined;
    if (prompt && 'head' in prompt) sendPrompt(prompt, outgoing);
    else run(incoming, outgoing, prompt);
  };
  const server = tls
    ? createHttpsServer({ ...tlsOptions(tls), ...lenient }, onRequest)
    : createHttpServer(lenient, onRequest);
  if ('addContext' in server) answerPlain(server);
  if (connections !== undefined) server.maxConnections = connections;
  // A large upload may take any time, as long as it moves.
  server.requestTimeout = 0;
  const { running, closeAll } = watchConnections(server, idle);
  const bound = await bind(server, port, host);
  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  return {
    url: origin(`${brackets}:${bound}`),
    port: bound,
    async close({ drain = 0 } = {}) {
      server.close();
      server.closeIdleConnections();
      for (const outgoing of running) outgoing.shouldKeepAlive = false;
      if (drain === 0) closeAll();
      const late = setTimeout(closeAll, drain);
      await closed;
      clearTimeout(late);
    },
  };
}

/** The port, once it listens. */
function bind(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** A request and its response, as Node has them. */
interface Exchanged {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  /** The response, perhaps. */
  readonly prompt: Promise<Prompt | undefined> | undefined;
}

async function exchange(handler: Handler, { incoming, outgoing, prompt }: Exchanged, origin: string) {
  // `close` follows; without a listener the process would end.
  outgoing.on('error', () => undefined);
  outgoing.on('finish', () => discard(incoming));
  const client = createRequester(outgoing);
  try {
    const given = await prompt;
    if (given) return sendPrompt(given, outgoing);
    const request = requestOf({ incoming, outgoing }, origin, client, isDirect(handler));
    if (!request) return await send(unusable(incoming), '', outgoing, client);
    // The signal of a request that follows another does so only while the request is referenced.
    outgoing.on('close', () => void request.method);
    await send(await handler(request, connectionOf(incoming.socket)), request.method, outgoing, client);
  } catch {
    // The bytes that were sent still arrive, but not the end of the body.
    if (outgoing.headersSent) return void outgoing.socket?.destroySoon();
    outgoing.writeHead(500, { connection: 'close' }).end();
  }
}

function connectionOf(socket: Socket): Connection {
  const { remoteAddress } = socket;
  const clientCertificate = 'encrypted' in socket ? certificateOf(socket) : undefined;
  return clientCertificate ? { remoteAddress, clientCertificate } : { remoteAddress };
}

/** Discards the rest of a request so that its connection can be used again; closes it if that takes too long. */
function discard(incoming: IncomingMessage): void {
  if (incoming.complete) return;
  const late = setTimeout(() => incoming.destroy(), discardTime);
  incoming.on('close', () => clearTimeout(late));
  incoming.resume();
}
