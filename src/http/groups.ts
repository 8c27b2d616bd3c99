import { cannot, type RegistryError } from '../errors.ts';
import { type Connections, createAgent, type Group, type Modules } from './connect.ts';
import { remember } from './remember.ts';
import { tlsFaults } from './tls-fault.ts';

/** A group in use. */
export interface Lease {
  readonly group: Omit<Group, 'agent'> & { readonly agent: Pick<Group['agent'], 'request'> };
  /** The exchange is over. Must be called once. */
  readonly release: () => void;
}

export interface Groups {
  /** The connections of a kind, made where there are none; `INVALID_CONFIG` where their TLS settings cannot be used. */
  use(modules: Modules, connections: Connections, host: string): Lease;
  /** Ends all connections, also those in use. */
  destroy(reason: RegistryError): Promise<void>;
}

interface Kept extends Group {
  users: number;
}

/**
 * Connections by what they have in common. Of more than `most` groups the one not asked for longest is let go of: its
 * connections end when the exchanges that use them are over.
 */
export function createGroups(most = 100): Groups {
  const groups = new Map<string, Kept>();
  const leaving = new Set<Kept>();
  const endUnused = (group: Kept): void => {
    if (group.users > 0 || !leaving.delete(group)) return;
    group.agent.destroy().catch(() => {});
  };
  return {
    use: (modules, connections, host) => {
      const key = JSON.stringify(connections);
      const group = groups.get(key) ?? { ...createGroup(modules, connections, host), users: 0 };
      group.users += 1;
      const left = remember(groups, key, group, most);
      if (left) {
        leaving.add(left);
        endUnused(left);
      }
      const release = (): void => {
        group.users -= 1;
        endUnused(group);
      };
      return { group, release };
    },
    destroy: async (reason) => {
      const all = [...groups.values(), ...leaving];
      groups.clear();
      leaving.clear();
      await Promise.all(all.map(({ agent }) => agent.destroy(reason)));
    },
  };
}

function createGroup(modules: Modules, connections: Connections, host: string): Group {
  const [fault] = tlsFaults(connections.tls ?? {});
  if (fault) {
    const { setting, found, cause } = fault;
    throw cannot('INVALID_CONFIG', `connect to "${host}" with tls.${setting}`, found, {
      host,
      cause,
    });
  }
  const group = { addresses: new Map<string, string>(), limits: new Map<string, number>() };
  return { ...group, agent: createAgent(modules, group, connections) };
}
