import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { atEnd } from './http.ts';

export interface Proxy {
  readonly url: string;
  /** A line for each request: `CONNECT registry.test:443 anonymous`. */
  readonly log: string[];
}

export interface ProxyOptions {
  /** Port on this machine that tunnels lead to; without it they are refused with 407. */
  readonly behind?: number | undefined;
  /** Of the proxy itself: it speaks TLS. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  readonly address?: '127.0.0.1' | '::1' | undefined;
  /** It never answers a CONNECT, and records when the client gives up. */
  readonly isSilent?: boolean | undefined;
  /** The value of Proxy-Authorization that it requires. */
  readonly login?: string | undefined;
}

/** Answers plain requests itself; opens tunnels to `behind`, or refuses them. */
export async function startProxy({
  behind,
  tls,
  isSilent,
  address = '127.0.0.1',
  login,
}: ProxyOptions): Promise<Proxy> {
  const log: string[] = [];
  const record = ({ method, url, headers }: IncomingMessage): void => {
    log.push(`${method} ${url} ${headers['proxy-authorization'] ?? 'anonymous'}`);
  };
  const server: Server = tls ? createSecureServer(tls) : createServer();
  server.on('request', (request, response) => {
    record(request);
    response.end('from the proxy');
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    record(request);
    if (isSilent) {
      socket.on('error', () => {}).on('end', () => log.push('closed'));
      socket.resume();
      return;
    }
    if (behind === undefined || (login !== undefined && request.headers['proxy-authorization'] !== login)) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    const target = connect(behind, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      target.pipe(socket).pipe(target);
    });
    sockets.add(target);
    target.on('error', () => socket.destroy());
    socket.on('error', () => target.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, address, listening));
  atEnd(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const host = address === '::1' ? '[::1]' : address;
  return {
    url: `${tls ? 'https' : 'http'}://${host}:${(server.address() as AddressInfo).port}`,
    log,
  };
}
