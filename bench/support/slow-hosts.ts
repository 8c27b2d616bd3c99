// Hosts in front of others that are far away or slow, and hosts that have nothing.
import { once } from 'node:events';
import { type AddressInfo, createServer as createListener } from 'node:net';
import type { Cleanup } from './cleanup.ts';
import { freePort, startOwn } from './programs.ts';

async function startProxy(cleanup: Cleanup, kind: 'delay' | 'cap', number: number, host: string): Promise<string> {
  const { ready } = await startOwn<number>(cleanup, 'proxy', [kind, String(number), host.replace(/^.*:/, '')]);
  return `127.0.0.1:${ready}`;
}

/** The host as it is at a distance: `127.0.0.1:port`. */
export const atDistance = (cleanup: Cleanup, host: string, roundTrip: number): Promise<string> =>
  startProxy(cleanup, 'delay', roundTrip / 2, host);

/** The host with so many MB/s on each connection. */
export const capped = (cleanup: Cleanup, host: string, megabytes: number): Promise<string> =>
  startProxy(cleanup, 'cap', megabytes, host);

/** A host that accepts connections and never answers, one that refuses them, and one that has nothing: 404, counted. */
export interface UselessHosts {
  readonly silent: string;
  readonly refusing: string;
  readonly empty: string;
  /** Requests to the host that has nothing, since the last call. */
  emptyRequests(): number;
}

export async function startUselessHosts(cleanup: Cleanup): Promise<UselessHosts> {
  let requests = 0;
  const silent = createListener((socket) => void socket.on('error', () => undefined).resume());
  const empty = createListener((socket) => {
    let text = '';
    socket.on('error', () => undefined).setEncoding('latin1');
    socket.on('data', (part: string) => {
      const parts = (text + part).split('\r\n\r\n');
      text = parts.pop() ?? '';
      requests += parts.length;
      for (const _ of parts) socket.write('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
    });
  });
  const hosts: string[] = [];
  for (const server of [silent, empty]) {
    const sockets = new Set<import('node:net').Socket>();
    server.on('connection', (socket) => void sockets.add(socket.once('close', () => sockets.delete(socket))));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanup.add(async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    hosts.push(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  }
  const [silentHost = '', emptyHost = ''] = hosts;
  return {
    silent: silentHost,
    refusing: `127.0.0.1:${await freePort()}`,
    empty: emptyHost,
    emptyRequests: () => {
      const count = requests;
      requests = 0;
      return count;
    },
  };
}
