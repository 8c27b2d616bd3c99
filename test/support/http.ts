import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer, type ServerOptions } from 'node:https';
import { type AddressInfo, createServer as createNetServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { expect, onTestFinished } from 'vitest';
import { createBody } from '../../src/body.ts';
import type { Endpoint } from '../../src/endpoint.ts';
import type { ErrorCode } from '../../src/errors.ts';
import type { HttpRequest, HttpResponse, Transport } from '../../src/http/transport.ts';

const closing: (() => Promise<void>)[] = [];

/**
 * Runs when the test is over, also when it fails. An afterEach() here would be that of the first file only, as files of
 * tests share this module.
 */
export const atEnd = (close: () => Promise<void>): void => {
  if (closing.length === 0) {
    onTestFinished(async () => {
      await Promise.all(closing.splice(0).map((one) => one()));
    });
  }
  closing.push(close);
};

export interface Loopback {
  /** Without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** Connections accepted so far. */
  readonly connections: () => number;
  /** Fires for the next connection that closes. */
  readonly closed: () => Promise<void>;
}

async function started(server: Server | ReturnType<typeof createNetServer>, scheme: string): Promise<Loopback> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      server.emit('left');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  atEnd(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const closed = async (): Promise<void> => {
    await once(server, 'left');
  };
  return { url: `${scheme}://127.0.0.1:${port}`, port, connections: () => connections, closed };
}

export const httpServer = (listener: RequestListener): Promise<Loopback> => started(createHttpServer(listener), 'http');

export const httpsServer = (options: ServerOptions, listener: RequestListener): Promise<Loopback> =>
  started(createHttpsServer(options, listener), 'https');

/** For responses that no HTTP server would send. */
export const rawServer = (onConnection: (socket: Socket) => void): Promise<Loopback> =>
  started(createNetServer(onConnection), 'http');

/** As `rawServer`, over TLS. */
export const rawTlsServer = (options: TlsOptions, onConnection: (socket: Socket) => void): Promise<Loopback> => {
  const server = createTlsServer(options, onConnection);
  server.on('secureConnection', (socket) => socket.on('error', () => undefined));
  return started(server, 'https');
};

/** A port on which nothing listens. */
export async function deadPort(): Promise<number> {
  const server = createNetServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A server that writes this text to each client, and then closes the connection or keeps it open. */
export const answering = (text: string, stay = false): Promise<Loopback> =>
  rawServer((socket) => {
    socket.once('data', () => (stay ? socket.write(text) : socket.end(text)));
  });

export async function bytesOf({ body }: Pick<HttpResponse, 'body'>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export const textOf = async (response: Pick<HttpResponse, 'body'>): Promise<string> =>
  (await bytesOf(response)).toString();

export const failsWith = (code: ErrorCode, details: object = {}): unknown =>
  expect.objectContaining({ name: 'RegistryError', code, ...details });

/** The error of a promise that must be rejected. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  const value = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('value' in value) throw new Error('it did not fail');
  return value.error;
}

/** A response of a recording transport. */
export interface Given {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly address?: string;
}

export interface Recording {
  readonly transport: Transport;
  /** One line for each request, made by `line`: `GET https://a.test/x`. */
  readonly log: string[];
  readonly requests: HttpRequest[];
  /** Responses whose body has neither ended nor been cancelled. */
  readonly open: () => number;
}

const plainLine = ({ method, url }: HttpRequest): string => `${method} ${url}`;

/** A transport that records requests in an array and takes responses from a function. */
export function recording(
  answer: (request: HttpRequest, count: number) => Given | Promise<Given>,
  line: (request: HttpRequest) => string = plainLine,
): Recording {
  const log: string[] = [];
  const requests: HttpRequest[] = [];
  let open = 0;
  const transport: Transport = async (request) => {
    log.push(line(request));
    requests.push(request);
    const { status = 200, headers = {}, body = '', address } = await answer(request, log.length);
    const rest = [new TextEncoder().encode(body)];
    const made = createBody({ next: () => rest.shift(), cancel: () => undefined }, { signal: request.signal });
    open += 1;
    void made.ended.then(() => {
      open -= 1;
    });
    return { status, headers, ...made, url: request.url, ...(address !== undefined && { address }) };
  };
  return { transport, log, requests, open: () => open };
}

export const endpointOf = (url: string, more: Partial<Endpoint> = {}): Endpoint => ({
  url,
  repository: 'library/app',
  scopes: ['repository:library/app:pull'],
  capabilities: ['pull', 'resolve'],
  ...more,
});
