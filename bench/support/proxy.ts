// A proxy of connections: KIND NUMBER PORT. `delay 25` passes bytes on 25 ms later, in both directions, as many as come; as a
// connection to it is made at once, what the client sends first is delayed by a round trip more. `cap 20` sends a client 20 MB/s
// on each connection. Sends its port once it listens.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

const [kind, number, port] = process.argv.slice(2);

/** Most bytes that are under way in one direction before more are read: far more than a delay needs. */
const window = 64 * 1_048_576;

interface Piece {
  readonly due: number;
  /** undefined: the end. */
  readonly bytes: Buffer | undefined;
}

function delayed(from: Socket, to: Socket, milliseconds: number, first = 0): void {
  const queue: Piece[] = [];
  let [held, isWaiting, begin] = [0, false, first];
  const flush = (): void => {
    isWaiting = false;
    to.cork();
    while (queue[0] && queue[0].due <= performance.now()) {
      const { bytes } = queue.shift() as Piece;
      held -= bytes?.length ?? 0;
      if (bytes) to.write(bytes);
      else to.end();
    }
    to.uncork();
    if (held < window && to.writableLength < window) from.resume();
    wait();
  };
  const wait = (): void => {
    const [next] = queue;
    if (!next || isWaiting) return;
    isWaiting = true;
    setTimeout(flush, Math.max(0, next.due - performance.now()));
  };
  const add = (bytes: Buffer | undefined): void => {
    const due = Math.max(performance.now() + milliseconds, begin + milliseconds);
    held += bytes?.length ?? 0;
    queue.push({ due, bytes });
    if (held >= window || to.writableLength >= window) from.pause();
    wait();
  };
  to.on('drain', () => void (held < window && from.resume()));
  from.on('data', add).on('end', () => add(undefined));
  if (first > 0)
    setTimeout(() => {
      begin = 0;
    }, first - performance.now());
}

function capped(from: Socket, to: Socket, bytesPerMillisecond: number): void {
  let free = 0;
  from.on('data', (bytes: Buffer) => {
    const now = performance.now();
    // After a pause of the connection nothing is caught up with.
    free = Math.max(free, now - 5) + bytes.length / bytesPerMillisecond;
    const isFull = !to.write(bytes);
    from.pause();
    const resume = (): void => void from.resume();
    const later = (): void => void setTimeout(resume, Math.max(0, free - performance.now()));
    if (isFull) to.once('drain', later);
    else later();
  });
  from.on('end', () => to.end());
}

const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
  const upstream = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => void (one.readableEnded || other.destroy()));
  }
  const value = Number(number);
  if (kind === 'delay') {
    delayed(client, upstream, value, performance.now() + 2 * value);
    delayed(upstream, client, value);
  } else {
    client.pipe(upstream);
    capped(upstream, client, value * 1_000);
  }
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 });
await once(server, 'listening');
process.once('disconnect', () => process.exit());
process.send?.((server.address() as AddressInfo).port);
