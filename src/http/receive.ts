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

/** Sockets whose reader wants no more for now. */
const held = new WeakSet<Socket>();

/** What the socket's reader takes next, at once. */
const ready = new WeakMap<Socket, Uint8Array>();

/**
 * Options for connecting: what comes is put where it is going to be used, instead of into new memory for each 64 KiB,
 * which their reader has to join again. Half of the time that a fast network leaves to a reader goes into that.
 */
export const onread: OnReadOpts = {
  buffer: () => idle.pop() ?? Buffer.allocUnsafeSlow(slabBytes),
  callback(this: Socket, length: number, slab: Uint8Array): boolean {
    const isLent = length > leastLent;
    const chunk = isLent ? Buffer.from(slab.buffer, 0, length) : Buffer.from(slab.subarray(0, length));
    if (isLent) lent.set(slab.buffer, length);
    else putBack(slab);
    ready.set(this, chunk);
    this.emit('readable');
    // Its reader did not take it: it waits as it would on any socket.
    if (ready.delete(this)) this.push(chunk);
    return !held.has(this);
  },
};

/** Lets the reader of a socket that was connected with `onread` have what comes at once. */
export function receive(socket: Socket): void {
  const { read, unshift } = socket;
  socket.read = (size) => {
    held.delete(socket);
    const chunk = size === undefined ? ready.get(socket) : undefined;
    if (!chunk) return read.call(socket, size);
    ready.delete(socket);
    return chunk;
  };
  // What undici does with the rest when the reader of a body wants no more.
  socket.unshift = (chunk: Uint8Array) => {
    held.add(socket);
    unshift.call(socket, chunk);
  };
}

/**
 * Gives back the memory of a chunk, if it is a socket's: it is filled anew. Only for whoever knows that nobody has a part
 * of the chunk any more.
 */
export function recycle({ buffer, length }: Uint8Array): void {
  if (lent.get(buffer) !== length || !lent.delete(buffer)) return;
  putBack(new Uint8Array(buffer));
}

function putBack(slab: Uint8Array): void {
  if (idle.length < mostIdle) idle.push(slab);
}
