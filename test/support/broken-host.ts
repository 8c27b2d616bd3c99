import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';

/**
 * Ways in which a host gives less than it should. Those that break a whole body do so at an offset, and may do it again
 * when they are asked from there on; those that concern ranges break the whole, too, so that a range is asked for.
 */
export const breaks = [
  'reset',
  'stall',
  'early end',
  'wrong range',
  'whole to a range',
  'encoded range',
  'flipped byte',
  'inserted byte',
  'missing byte',
  'longer',
  'shorter',
] as const;
export type Break = (typeof breaks)[number];

/** Other things that hosts are. */
export const conditions = ['healthy', '404', '500', 'dead'] as const;

export interface Behaviour {
  readonly kind: Break | (typeof conditions)[number];
  /** Where it shows, counted in the content. */
  readonly offset: number;
  /** Bytes of a chunk. */
  readonly step: number;
}

/** What a host sends: the head, the bytes, and how they end. */
export interface Reply {
  readonly status: number;
  readonly range?: { readonly start: number; readonly end: number };
  readonly encoding?: 'gzip';
  readonly bytes: Uint8Array;
  readonly length: 'told' | 'not told';
  readonly end: 'end' | 'reset' | 'stall';
}

/** Hosts whose bytes may be wrong without a sign of it, where they are not hashed. One byte more is one, to who reads so far. */
export const isLiar = ({ kind }: Behaviour, toTheEnd: boolean): boolean =>
  ['flipped byte', 'missing byte', ...(toTheEnd ? [] : ['inserted byte'])].includes(kind);

export const arbitraryBehaviour = (size: number): fc.Arbitrary<Behaviour> =>
  fc.record({
    kind: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...breaks) }, fc.constantFrom(...conditions)),
    offset: fc.oneof(fc.integer({ min: 0, max: size - 1 }), fc.constantFrom(0, 1, size - 1)),
    step: fc.constantFrom(1, 64, size, 1_000_000).map((step) => Math.max(step, Math.ceil(size / 40))),
  });

/** The content as a host of this kind has it. */
function contentOf({ kind, offset }: Behaviour, content: Uint8Array): Uint8Array {
  const before = content.subarray(0, offset);
  if (kind === 'flipped byte') return content.map((byte, index) => (index === offset ? byte ^ 1 : byte));
  if (kind === 'inserted byte') return Buffer.concat([before, Uint8Array.of(0), content.subarray(offset)]);
  if (kind === 'missing byte') return Buffer.concat([before, content.subarray(offset + 1)]);
  return content;
}

/** What a host of this kind replies to a request for the whole or for a range. */
export function replyOf(
  behaviour: Behaviour,
  content: Uint8Array,
  range?: { readonly start: number; readonly end: number },
): Reply {
  const { kind, offset } = behaviour;
  const nothing = { bytes: new Uint8Array(0), length: 'told', end: 'end' } as const;
  if (kind === 'dead') return { status: 0, ...nothing };
  if (kind === '404' || kind === '500') return { status: Number(kind), ...nothing };
  const { start, end } = range ?? { start: 0, end: content.length };
  const own = contentOf(behaviour, content);
  // As long as they are, the bytes that such a host has from `start` on.
  const bytes = own.subarray(start, own.length > content.length ? end + 1 : end);
  const whole = { status: range ? 206 : 200, ...(range && { range }) };
  const cut = content.subarray(start, Math.max(start, Math.min(offset, end)));
  const isCut = start + cut.length < end;
  if (kind === 'reset' || kind === 'stall') return { ...whole, bytes: cut, length: 'told', end: isCut ? kind : 'end' };
  if (kind === 'early end') return { ...whole, bytes: cut, length: 'not told', end: 'end' };
  if (kind === 'shorter') return { ...whole, bytes: bytes.subarray(0, -1), length: 'not told', end: 'end' };
  if (kind === 'longer') {
    return { ...whole, bytes: Buffer.concat([bytes, Buffer.alloc(offset + 1)]), length: 'not told', end: 'end' };
  }
  if (kind === 'inserted byte' || kind === 'missing byte') return { ...whole, bytes, length: 'not told', end: 'end' };
  if (kind === 'healthy' || kind === 'flipped byte') return { ...whole, bytes, length: 'told', end: 'end' };
  if (!range) return { ...whole, bytes: cut, length: 'told', end: isCut ? 'reset' : 'end' };
  if (kind === 'wrong range') {
    const other = { start: start + 1, end: Math.max(end, start + 2) };
    return { status: 206, range: other, bytes: content.subarray(other.start, other.end), length: 'told', end: 'end' };
  }
  if (kind === 'whole to a range') return { status: 200, bytes: content, length: 'told', end: 'end' };
  return { ...whole, bytes: gzipSync(bytes), encoding: 'gzip', length: 'not told', end: 'end' };
}

/** Hosts on sockets, one after the other under `/0/v2`, `/1/v2`, …; how they behave can be changed at any time. */
export interface BrokenHosts {
  readonly urls: readonly string[];
  behave(behaviours: readonly Behaviour[]): void;
  /** `0 bytes=0-9`, each request a line, since `behave`. */
  readonly requests: string[];
  readonly connections: () => number;
  close(): Promise<void>;
}

export async function brokenHosts(content: Uint8Array, count: number): Promise<BrokenHosts> {
  const sockets = new Set<Socket>();
  const requests: string[] = [];
  let behaviours: readonly Behaviour[] = [];
  const servers = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const server = createServer((request, response) => {
        requests.push(`${index} ${request.headers.range ?? 'whole'}`);
        const behaviour = behaviours[index] ?? { kind: 'healthy', offset: 0, step: 1_000_000 };
        void send(replyOf(behaviour, content, rangeOf(request)), behaviour.step, content.length, response);
      });
      server.on('connection', (socket) => {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  return {
    urls: servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    behave: (next) => {
      behaviours = next;
      requests.length = 0;
    },
    requests,
    connections: () => sockets.size,
    close: async () => {
      for (const server of servers) server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function rangeOf({ headers }: IncomingMessage): { start: number; end: number } | undefined {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
  return first === undefined ? undefined : { start: Number(first), end: Number(last) + 1 };
}

async function send(reply: Reply, step: number, size: number, response: ServerResponse): Promise<void> {
  const { status, range, encoding, bytes, length, end } = reply;
  if (status === 0) return void response.socket?.destroy();
  const promised = range ? range.end - range.start : size;
  response.writeHead(status, {
    'content-type': 'application/octet-stream',
    ...(range && { 'content-range': `bytes ${range.start}-${range.end - 1}/${size}` }),
    ...(encoding && { 'content-encoding': encoding }),
    ...(length === 'told' && { 'content-length': end === 'end' ? bytes.length : promised }),
  });
  response.flushHeaders();
  for (let at = 0; at < bytes.length && !response.destroyed; at += step) {
    await new Promise((resolve) => response.write(bytes.subarray(at, at + step), resolve));
  }
  if (end === 'end') response.end();
  else if (end === 'reset') response.socket?.destroy();
}
