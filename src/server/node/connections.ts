import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { quote } from '../../text/quote.ts';
import { type ProblemCode, problem } from '../registry/problem.ts';

/** A response to what is not a request that a handler can get. */
interface Refusal {
  readonly status: string;
  readonly code: ProblemCode;
  readonly text: string;
}

const badRequest: Refusal = { status: '400 Bad Request', code: 'UNSUPPORTED', text: 'This is not an HTTP request' };

/** By Node's codes. */
const refusals: Readonly<Record<string, Refusal>> = {
  HPE_INVALID_METHOD: {
    status: '405 Method Not Allowed',
    code: 'UNSUPPORTED',
    text: 'No such method is known here',
  },
  HPE_HEADER_OVERFLOW: {
    status: '431 Request Header Fields Too Large',
    code: 'SIZE_INVALID',
    text: 'The head of the request is too large',
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: '413 Payload Too Large',
    code: 'SIZE_INVALID',
    text: 'The extensions of a chunk are too large',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: '408 Request Timeout',
    code: 'UNAVAILABLE',
    text: 'The head of the request took too long',
  },
};

const connectRefused: Refusal = {
  status: '405 Method Not Allowed',
  code: 'UNSUPPORTED',
  text: 'Cannot CONNECT: not offered here',
};

const expectationRefused: Refusal = {
  status: '417 Expectation Failed',
  code: 'UNSUPPORTED',
  text: 'Nothing but 100-continue can be expected here',
};

/** The connections of a server, and the responses under way. */
export interface OpenConnections {
  readonly running: Set<ServerResponse>;
  /** Closes all, also those in a TLS handshake, which Node's own method leaves. */
  closeAll(): void;
}

/**
 * Watches the connections of a server. One without a byte in either direction for `idle` milliseconds is closed, if it is the
 * client that has to do something: the handler may take longer.
 */
export function watchConnections(server: Server, idle: number): OpenConnections {
  const running = new Set<ServerResponse>();
  const sockets = new Set<Socket>();
  const responseOn = (socket: Socket) => [...running].find((each) => each.socket === socket);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.timeout = idle;
  server.on('timeout', (socket: Socket) => {
    const outgoing = responseOn(socket);
    if (outgoing && !isClientsTurn(outgoing)) socket.setTimeout(idle);
    else socket.destroy();
  });
  refuseOthers(server, (socket) => responseOn(socket)?.headersSent ?? false);
  return {
    running,
    closeAll: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Whether a client has to send more of its request, or to read more of the response, before anything else can happen. */
function isClientsTurn({ req, socket, writableLength }: ServerResponse): boolean {
  const isSending = !req.complete && !req.isPaused();
  return isSending || writableLength > 0 || (socket?.writableLength ?? 0) > 0;
}

/**
 * Responds in the form of the distribution specification to what Node does not take for a request, and to CONNECT, and closes
 * the connection. `hasBegun`: whether a response has begun on it.
 */
function refuseOthers(server: Server, hasBegun: (socket: Socket) => boolean): void {
  const refuse = (socket: Socket, { status, code, text }: Refusal): void => {
    const body = JSON.stringify({ errors: [{ code, message: text }] });
    const head = [`HTTP/1.1 ${status}`, 'content-type: application/json', `content-length: ${body.length}`];
    if (socket.writable && !hasBegun(socket)) socket.write([...head, 'connection: close', '', body].join('\r\n'));
    socket.destroySoon();
  };
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET') socket.destroy();
    else refuse(socket as Socket, refusals[error.code ?? ''] ?? badRequest);
  });
  server.on('checkExpectation', ({ socket }) => refuse(socket, expectationRefused));
  server.on('connect', (_request, socket) => refuse(socket as Socket, connectRefused));
}

/** The response to a request of which no web-standard one can be made. */
export function unusable({ method, url = '', headers: { host = '' } }: IncomingMessage): Response {
  const headers = { connection: 'close' };
  if (method === 'TRACE') return problem(405, 'UNSUPPORTED', 'Cannot TRACE: not offered here', headers);
  return problem(400, 'NAME_INVALID', `Cannot use the address ${quote(url)} at ${quote(host)}: not a URL`, headers);
}
