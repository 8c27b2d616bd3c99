import type { OnReadOpts, Socket } from 'node:net';

/** Bytes that a socket takes at a time, where they are there. */
const slabBytes = 262_144;

/** Fewer than these are copied out: a chunk that is kept must not hold much more memory than it has bytes. */
const leastLent = slabBytes / 2;

/** Slabs that wait for bytes. */
const idle: Uint8Array[] = [];
const mostIdle = 32;

/** Bytes that came into a slab, which is whoever's has them until it is given back. */
const lent = new WeakMap<ArrayBufferLike, number>();

/** Sockets whose reader wants no more for now: it put back what it had left, and has not read since. */
const held = new WeakSet<Socket>();

/** What the socket's reader takes next, at once. */
const ready = new WeakMap<Socket, Uint8Array>();

/**
 * Options for connecting without TLS: what comes is put where it is going to be used and shown at once, instead of into new
 * memory for each 64 KiB, queued and joined. `receive` belongs to it.
 */
export const onread: OnReadOpts = {
  buffer: () => idle.pop() ?? Buffer.allocUnsafeSlow(slabBytes),
  callback(this: Socket, length: number, slab: Uint8Array): boolean {
    const isLent = length > leastLent;
    const chunk = Buffer.from(slab.buffer, 0, length);
    if (isLent) lent.set(slab.buffer, length);
    // A copy of its own, not of Node's pool: its receiver may hand its memory on.
    const shown = isLent ? chunk : Buffer.allocUnsafeSlow(length).fill(chunk);
    ready.set(this, shown);
    try {
      this.emit('readable');
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
      return false;
    }
    if (!isLent) putBack(slab);
    // Its reader did not take it: it waits, as whoever sends does, as on any socket.
    if (ready.delete(this) && !this.push(shown)) return false;
    return !held.has(this);
  },
};

/**
 * Lets undici have what comes to a socket at once, and its end not before it wants more: over TLS an end comes also while
 * nothing is read, and undici's parser then loses what it has not seen, or ends the process by an assertion.
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
    // Node's own `read(0)` is no wish for more.
    if (size !== undefined) return read.call(socket, size);
    held.delete(socket);
    const chunk = ready.get(socket);
    if (chunk) {
      ready.delete(socket);
      return chunk;
    }
    const rest = read.call(socket);
    // Later, as its reader may stop again at what it has left.
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
