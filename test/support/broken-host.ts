import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';

/**
 * Ways in which a host sends less than it should. Those that break a full body do so at an offset, and may do it again when the
 * rest is requested; those that concern ranges also break the full body, so that a range is requested.
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

/** Other states of a host. */
export const conditions = ['healthy', '404', '500', 'dead'] as const;

export interface Behaviour {
  readonly kind: Break | (typeof conditions)[number];
  /** Offset in the content at which it happens. */
  readonly offset: number;
  /** Bytes of a chunk. */
  readonly step: number;
}

/** What a host sends: status and headers, the bytes, and how they end. */
export interface Reply {
  readonly status: number;
  readonly range?: { readonly start: number; readonly end: number };
  readonly encoding?: 'gzip';
  readonly bytes: Uint8Array;
  readonly length: 'known' | 'unknown';
  readonly end: 'end' | 'reset' | 'stall';
}

/** Hosts whose wrong bytes only a digest shows. An inserted byte also shows in the length, to a reader that reads to the end. */
export const isLiar = ({ kind }: Behaviour, toTheEnd: boolean): boolean =>
  ['flipped byte', 'missing byte', ...(toTheEnd ? [] : ['inserted byte'])].includes(kind);

export const arbitraryBehaviour = (size: number): fc.Arbitrary<Behaviour> =>
  fc.record({
    kind: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...breaks) }, fc.constantFrom(...conditions)),
    offset: fc.oneof(fc.integer({ min: 0, max: size - 1 }), fc.constantFrom(0, 1, size - 1)),
    step: fc.constantFrom(1, 64, size, 1_000_000).map((step) => Math.max(step, Math.ceil(size / 40))),
  });

/** The content that a host of this kind has. */
function contentOf({ kind, offset }: Behaviour, content: Uint8Array): Uint8Array {
  const before = content.subarray(0, offset);
  if (kind === 'flipped byte') return content.map((byte, index) => (index === offset ? byte ^ 1 : byte));
  if (kind === 'inserted byte') return Buffer.concat([before, Uint8Array.of(0), content.subarray(offset)]);
  if (kind === 'missing byte') return Buffer.concat([before, content.subarray(offset + 1)]);
  return content;
}

/** The reply of a host of this kind to a request for all bytes or for a range. */
export function replyOf(
  behaviour: Behaviour,
  content: Uint8Array,
  range?: { readonly start: number; readonly end: number },
): Reply {
  const { kind, offset } = behaviour;
  const nothing = { bytes: new Uint8Array(0), length: 'known', end: 'end' } as const;
  if (kind === 'dead') return { status: 0, ...nothing };
  if (kind === '404' || kind === '500') return { status: Number(kind), ...nothing };
  const { start, end } = range ?? { start: 0, end: content.length };
  const own = contentOf(behaviour, content);
  // The bytes that such a host has from `start` on, whatever their length.
  const bytes = own.subarray(start, own.length > content.length ? end + 1 : end);
  const whole = { status: range ? 206 : 200, ...(range && { range }) };
  const cut = content.subarray(start, Math.max(start, Math.min(offset, end)));
  const isCut = start + cut.length < end;
  if (kind === 'reset' || kind === 'stall') return { ...whole, bytes: cut, length: 'known', end: isCut ? kind : 'end' };
  if (kind === 'early end') return { ...whole, bytes: cut, length: 'unknown', end: 'end' };
  if (kind === 'shorter') return { ...whole, bytes: bytes.subarray(0, -1), length: 'unknown', end: 'end' };
  if (kind === 'longer') {
    return { ...whole, bytes: Buffer.concat([bytes, Buffer.alloc(offset + 1)]), length: 'unknown', end: 'end' };
  }
  if (kind === 'inserted byte' || kind === 'missing byte') return { ...whole, bytes, length: 'unknown', end: 'end' };
  if (kind === 'healthy' || kind === 'flipped byte') return { ...whole, bytes, length: 'known', end: 'end' };
  if (!range) return { ...whole, bytes: cut, length: 'known', end: isCut ? 'reset' : 'end' };
  if (kind === 'wrong range') {
    const other = { start: start + 1, end: Math.max(end, start + 2) };
    return { status: 206, range: other, bytes: content.subarray(other.start, other.end), length: 'known', end: 'end' };
  }
  if (kind === 'whole to a range') return { status: 200, bytes: content, length: 'known', end: 'end' };
  return { ...whole, bytes: gzipSync(bytes), encoding: 'gzip', length: 'unknown', end: 'end' };
}

/** Hosts on sockets, below `/0/v2`, `/1/v2`, …; their behaviour can be changed at any time. */
export interface BrokenHosts {
  readonly urls: readonly string[];
  behave(behaviours: readonly Behaviour[]): void;
  /** A line for each request since `behave`: `0 bytes=0-9`. */
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
    ...(length === 'known' && { 'content-length': end === 'end' ? bytes.length : promised }),
  });
  response.flushHeaders();
  for (let at = 0; at < bytes.length && !response.destroyed; at += step) {
    await new Promise((resolve) => response.write(bytes.subarray(at, at + step), resolve));
  }
  if (end === 'end') response.end();
  else if (end === 'reset') response.socket?.destroy();
}
