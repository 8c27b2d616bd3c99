import type { OnReadOpts, Socket } from 'node:net';
import { asError } from '../errors.ts';

/** Most bytes that a socket reads at a time. */
const slabBytes = 262_144;

/** Fewer are copied out: a chunk that is kept must not hold much more memory than its own bytes. */
const leastLent = slabBytes / 2;

/** Slabs that are free. */
const idle: Uint8Array[] = [];
const mostIdle = 32;

/** Bytes read into a slab that its receiver has until it is given back. */
const lent = new WeakMap<ArrayBufferLike, number>();

/** Sockets whose reader is paused: it put back what it had left, and has not read since. */
const held = new WeakSet<Socket>();

/** The chunk that the socket's reader takes next. */
const ready = new WeakMap<Socket, Uint8Array>();

/**
 * Options for connecting without TLS: bytes are read into memory where they are used and shown at once, instead of into
 * new memory for each 64 KiB, queued and joined. `receive` belongs to it.
 */
export const onread: OnReadOpts = {
  buffer: () => idle.pop() ?? Buffer.allocUnsafeSlow(slabBytes),
  callback(this: Socket, length: number, slab: Uint8Array): boolean {
    const isLent = length > leastLent;
    const chunk = Buffer.from(slab.buffer, 0, length);
    if (isLent) lent.set(slab.buffer, length);
    // A copy with its own memory, not from Node's pool: its receiver may transfer the memory.
    const shown = isLent ? chunk : Buffer.allocUnsafeSlow(length).fill(chunk);
    ready.set(this, shown);
    try {
      this.emit('readable');
    } catch (error) {
      this.destroy(asError(error));
      return false;
    }
    if (!isLent) putBack(slab);
    // Its reader did not take it: it is queued, and the sender waits, as on any socket.
    if (ready.delete(this) && !this.push(shown)) return false;
    return !held.has(this);
  },
};

/**
 * Gives undici the bytes of a socket at once, and the end only when it reads on: over TLS an end comes even while nothing is
 * read, and undici's parser then loses what it has not seen, or ends the process by an assertion.
 */
export function receive(socket: Socket): void {
  const { read, unshift, push } = socket;
  let isOver = false;
  const end = (): void => {
    if (!isOver || held.has(socket) || socket.destroyed) return;
    isOver = false;
    push.call(socket, null);
    read.call(socket, 0);
  };
  socket.read = (size) => {
    // Node's own `read(0)` does not read on.
    if (size !== undefined) return read.call(socket, size);
    held.delete(socket);
    const chunk = ready.get(socket);
    if (chunk) {
      ready.delete(socket);
      return chunk;
    }
    const rest = read.call(socket);
    // Later, as its reader may pause again at what it has left.
    if (rest === null && isOver) queueMicrotask(end);
    return rest;
  };
  socket.unshift = (chunk: Uint8Array) => {
    held.add(socket);
    unshift.call(socket, chunk);
  };
  socket.push = (chunk: unknown, encoding) => {
    if (chunk !== null || !held.has(socket)) return push.call(socket, chunk, encoding);
    isOver = true;
    return false;
  };
}

/**
 * Gives back the memory of a chunk, if it is a socket's: it is filled anew. Only for whoever was handed the chunk, once, and
 * when nobody has a part of it any more.
 */
export function recycle({ buffer, length }: Uint8Array): void {
  if (lent.get(buffer) !== length || !lent.delete(buffer)) return;
  putBack(new Uint8Array(buffer));
}

function putBack(slab: Uint8Array): void {
  if (idle.length < mostIdle) idle.push(slab);
}
