import type { OnReadOpts, Socket } from 'node:net';
import type { Feed } from '../../body.ts';
import { redactUrl } from '../../endpoint.ts';
import { asError, cannot } from '../../errors.ts';
import { connectionError, endedEarly } from '../connection-error.ts';
import type { HttpRequest } from '../transport.ts';
import { createMessageReader } from './framing.ts';
import type { ResponseHead } from './head.ts';
import { createGathered, slabBytes } from './slabs.ts';

/** Most bytes that a socket reads at a time. */
const readBytes = 65_536;

/** A socket, and who gets its bytes. */
export interface Wire {
  readonly socket: Socket;
  /** Gets bytes in memory that is filled anew when it returns; false stops the reading. */
  receive: (bytes: Uint8Array) => boolean;
  destroy(error?: Error): void;
}

/** A socket that reads into one buffer for as long as it lives: no memory for each read, no queue, no stream. */
export function createWire(connect: (onread: OnReadOpts) => Socket): Wire {
  const onread: OnReadOpts = {
    buffer: Buffer.allocUnsafeSlow(readBytes),
    callback: (length, buffer) => wire.receive(buffer.subarray(0, length)),
  };
  const socket = connect(onread);
  const wire: Wire = { socket, receive: () => true, destroy: (error) => void socket.destroy(error) };
  return wire;
}

/** A request as it is written. */
export interface WrittenRequest {
  readonly method: string;
  /** For the errors of its response. */
  readonly url: URL;
  readonly bytes: Uint8Array;
}

/** Fields that say how a message is framed: only the transport knows that. */
const framing = new Set(['content-length', 'transfer-encoding', 'trailer', 'upgrade', 'expect']);

/** Methods whose requests have a body, if only an empty one. RFC 9110 section 8.6 */
const withBody = new Set(['POST', 'PUT', 'PATCH']);

/**
 * A request as HTTP/1.1 has it. `UNAVAILABLE` for a method or header that cannot be sent; the error does not have its value,
 * which may be a secret.
 */
export function writeRequest({ method, headers = {}, body }: HttpRequest, url: URL): WrittenRequest {
  const refuse = (found: string): Error =>
    cannot('UNAVAILABLE', `request "${redactUrl(url)}"`, found, { host: url.host, cause: { code: 'INVALID_REQUEST' } });
  if (!isToken(method)) throw refuse('its method is not a token');
  const content = Buffer.from(body ?? '');
  const length = content.length > 0 || withBody.has(method) ? { 'content-length': String(content.length) } : {};
  const lines = [`${method} ${url.pathname}${url.search} HTTP/1.1`];
  for (const name of Object.keys(headers)) {
    if (framing.has(name)) throw refuse(`the transport itself sets ${name}`);
  }
  for (const [name, value] of Object.entries({ host: url.host, connection: 'keep-alive', ...headers, ...length })) {
    if (!isToken(name) || !isValue(value)) throw refuse('one of its headers cannot be sent');
    lines.push(`${name}: ${value}`);
  }
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return { method, url, bytes: content.length > 0 ? Buffer.concat([head, content]) : head };
}

/** RFC 9110 section 5.6.2 */
const isToken = (text: string): boolean => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text);

const isValue = (value: unknown): boolean => typeof value === 'string' && /^[\t\x20-\x7e\x80-\xff]*$/.test(value);

/** A response whose head has come. */
export interface Arrived {
  readonly head: ResponseHead;
  readonly feed: LentFeed;
}

/** A feed whose chunks may be given back. */
export interface LentFeed extends Feed {
  cancel(): void;
  recycle(chunk: Uint8Array): void;
}

/** One connection, which serves one request at a time. */
export interface SocketConnection {
  readonly address: string | undefined;
  /** Whether it served a request before, and no byte of the response to the latest one has come: the server may just have ended it. RFC 9112 section 9.3.1 */
  readonly isUnanswered: boolean;
  /** Nothing is read ahead of the feed's reader. Fails with what the connection fails with, or the error that it is destroyed with. */
  send(request: WrittenRequest): Promise<Arrived>;
  /** Whether it keeps the process running. */
  hold(isHeld: boolean): void;
  destroy(error?: Error): void;
}

/** Whoever keeps a connection between two requests. */
export interface Keeping {
  /** It may serve another request within so many milliseconds. */
  free(connection: SocketConnection, milliseconds: number): void;
  /** It is closed. */
  lost(connection: SocketConnection): void;
}

export function createConnection(wire: Wire, keeping: Keeping): SocketConnection {
  const { socket } = wire;
  let arrival: Arrival | undefined;
  let served = 0;
  const finish = (keeps: number): void => {
    arrival = undefined;
    served += 1;
    if (keeps === 0) socket.destroy();
    else {
      // Its end must be seen while nobody uses it.
      socket.resume();
      keeping.free(connection, keeps);
    }
  };
  const connection: SocketConnection = {
    address: socket.remoteAddress,
    get isUnanswered() {
      return served > 0 && arrival?.hasBegun === false;
    },
    send: (request) => {
      const sent = createArrival(request, socket, finish);
      arrival = sent;
      socket.write(request.bytes);
      socket.resume();
      return sent.arrived;
    },
    hold: (isHeld) => void (isHeld ? socket.ref() : socket.unref()),
    destroy: (error) => {
      arrival?.fail(error ?? endedEarly('by this side'));
      socket.destroy();
    },
  };
  // Bytes that nobody requested would be taken for the next response.
  wire.receive = (bytes) => {
    if (arrival) return arrival.receive(bytes);
    socket.destroy();
    return false;
  };
  socket.on('end', () => arrival?.end());
  socket.on('error', (error) => arrival?.fail(error));
  socket.on('close', () => {
    arrival?.fail(endedEarly('before the end of the response'));
    keeping.lost(connection);
  });
  return connection;
}

/** A response on its way. */
interface Arrival {
  readonly arrived: Promise<Arrived>;
  readonly hasBegun: boolean;
  /** Whether more is to be read now. */
  receive(bytes: Uint8Array): boolean;
  end(): void;
  fail(error: Error): void;
}

interface Waiter {
  resolve(chunk: Uint8Array | undefined): void;
  reject(error: Error): void;
}

/** Reads one response from a socket. `finish` is called when all of it has come, whether or not its reader has it. */
function createArrival({ method, url }: WrittenRequest, socket: Socket, finish: (keeps: number) => void): Arrival {
  const message = createMessageReader(method);
  const gathered = createGathered();
  let begin = (_arrived: Arrived): void => {};
  let refuse = (_error: Error): void => {};
  const arrived = new Promise<Arrived>((resolve, reject) => {
    begin = resolve;
    refuse = reject;
  });
  let hasBegun = false;
  let failure: Error | undefined;
  let waiter: Waiter | undefined;
  let delivery: NodeJS.Immediate | undefined;
  const isOver = (): boolean => message.isDone || failure !== undefined;
  const deliver = (): void => {
    if (delivery) clearImmediate(delivery);
    delivery = undefined;
    const reader = waiter;
    if (!reader) return;
    waiter = undefined;
    if (!isOver()) socket.pause();
    const chunk = gathered.take();
    if (chunk || !failure) reader.resolve(chunk);
    else reader.reject(failure);
  };
  /** Gives its reader what has come: all of one turn of the event loop together, as TLS brings 16 KiB at a time. */
  const settle = (): void => {
    if (isOver() || gathered.size > slabBytes - readBytes) deliver();
    else if (waiter && gathered.size > 0) delivery ??= setImmediate(deliver);
  };
  const fail = (error: Error): void => {
    if (isOver()) return;
    failure = connectionError(error, 'UNEXPECTED_END', 'continue to read', url);
    socket.destroy();
    if (message.head) begin({ head: message.head, feed });
    else refuse(error);
    settle();
  };
  /** Fails with what `step` throws. */
  const proceed = (step: () => void): void => {
    if (isOver()) return;
    try {
      step();
    } catch (error) {
      fail(asError(error));
      return;
    }
    if (message.isDone) finish(message.keeps);
    settle();
  };
  const feed: LentFeed = {
    next: () => {
      const chunk = gathered.take();
      if (chunk) return chunk;
      if (failure) throw failure;
      if (message.isDone) return undefined;
      return new Promise((resolve, reject) => {
        waiter = { resolve, reject };
        socket.resume();
      });
    },
    cancel: () => {
      fail(endedEarly('as nobody reads it'));
      gathered.drop();
    },
    recycle: gathered.recycle,
  };
  return {
    arrived,
    get hasBegun() {
      return hasBegun;
    },
    receive: (bytes) => {
      hasBegun = true;
      const wasHead = message.head !== undefined;
      proceed(() => message.read(bytes, gathered.add));
      if (!wasHead && message.head) begin({ head: message.head, feed });
      return message.isDone || (!failure && (message.head === undefined || waiter !== undefined));
    },
    end: () => proceed(message.end),
    fail,
  };
}
