import { remember } from '../../bounded-map.ts';
import type { RegistryError } from '../../errors.ts';
import { checkTls } from '../tls.ts';
import { type ConnectWire, createConnect, type WireSettings, type WireTarget } from './connect.ts';
import { createConnection, type SocketConnection } from './connection.ts';

/** Connections with the same settings, to any number of origins. */
export interface SocketPool {
  /** One that has served and waits for another request, the latest first; it is then in use. */
  take(place: string): SocketConnection | undefined;
  /** A new one, in use. */
  connect(place: string, target: WireTarget): Promise<SocketConnection>;
}

/** Pools of connections by their settings. */
export interface SocketPools {
  /** The pool with these settings, created if needed; `INVALID_CONFIG` if its TLS settings cannot be used. */
  use(settings: WireSettings, host: string): SocketPool;
  /** Ends all connections, also those in use. */
  destroy(reason: RegistryError): void;
}

interface ManagedPool extends SocketPool {
  /** Ends the connections that wait; those in use end when they are free. */
  retire(): void;
}

/** Of more than `most` pools the one that was requested longest ago is dropped. */
export function createSocketPools(most = 100): SocketPools {
  const pools = new Map<string, ManagedPool>();
  const open = new Set<SocketConnection>();
  return {
    use: (settings, host) => {
      const key = JSON.stringify(settings);
      const pool = pools.get(key) ?? createPool(settings, host, open);
      remember(pools, key, pool, most)?.retire();
      return pool;
    },
    destroy: (reason) => {
      for (const pool of pools.values()) pool.retire();
      pools.clear();
      for (const connection of open) connection.destroy(reason);
    },
  };
}

/** A connection that waits for a request, and the timer that ends it. */
interface Waiting {
  readonly connection: SocketConnection;
  readonly timer: ReturnType<typeof setTimeout>;
}

function createPool(settings: WireSettings, host: string, open: Set<SocketConnection>): ManagedPool {
  checkTls(settings.tls, host);
  const waiting = new Map<string, Waiting[]>();
  let isRetired = false;
  let connectWire: ConnectWire | undefined;
  const leave = (place: string, connection: SocketConnection): void => {
    const list = waiting.get(place) ?? [];
    const at = list.findIndex((one) => one.connection === connection);
    if (at !== -1) clearTimeout(list.splice(at, 1)[0]?.timer);
    if (list.length === 0) waiting.delete(place);
  };
  const rest = (place: string, connection: SocketConnection, milliseconds: number): void => {
    if (isRetired) {
      connection.destroy();
      return;
    }
    connection.hold(false);
    const timer = setTimeout(() => connection.destroy(), milliseconds);
    timer.unref();
    const list = waiting.get(place) ?? [];
    waiting.set(place, list);
    list.push({ connection, timer });
  };
  return {
    take: (place) => {
      const { connection } = waiting.get(place)?.at(-1) ?? {};
      if (!connection) return undefined;
      leave(place, connection);
      connection.hold(true);
      return connection;
    },
    connect: async (place, target) => {
      connectWire ??= createConnect(settings);
      const connection = createConnection(await connectWire(target), {
        free: (free, milliseconds) => rest(place, free, milliseconds),
        lost: (lost) => {
          open.delete(lost);
          leave(place, lost);
        },
      });
      open.add(connection);
      return connection;
    },
    retire: () => {
      isRetired = true;
      for (const { connection } of [...waiting.values()].flat()) connection.destroy();
    },
  };
}
