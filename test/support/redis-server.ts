import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { scripts } from '../../src/server/redis/locks.ts';

type Reply = string | number | null | Error | readonly Reply[] | Map<string, Reply>;

/** A Redis in memory that knows the commands of this project, and how to disturb it. */
export interface RedisServer {
  readonly url: string;
  readonly strings: Map<string, string>;
  readonly sets: Map<string, Set<string>>;
  readonly hashes: Map<string, Map<string, string>>;
  /** Names of the commands that arrived. */
  readonly commands: string[];
  /** True: it takes commands, and never replies. */
  isSilent: boolean;
  /** Closes all connections; it can be used again at once. */
  disconnect(): void;
  close(): Promise<void>;
}

export async function startRedisServer({ password }: { readonly password?: string } = {}): Promise<RedisServer> {
  const strings = new Map<string, string>();
  const sets: RedisServer['sets'] = new Map();
  const hashes: RedisServer['hashes'] = new Map();
  const sockets = new Set<Socket>();
  const state = { isSilent: false };
  const commands: string[] = [];
  const expire = (key: string, milliseconds: number): void => {
    const value = strings.get(key);
    setTimeout(() => {
      if (strings.get(key) === value) strings.delete(key);
    }, milliseconds).unref();
  };
  const scripted = (script: string, key: string, [first = '']: readonly string[]): Reply => {
    if (script === scripts.count) {
      const count = Number(strings.get(key) ?? 0) + 1;
      strings.set(key, String(count));
      return [count, Number(first)];
    }
    if (strings.get(key) !== first) return 0;
    if (script === scripts.release) strings.delete(key);
    return 1;
  };
  const hello = (rest: readonly string[]): Reply => {
    if (password !== undefined && !rest.includes(password))
      return new Error('WRONGPASS invalid username-password pair');
    return new Map<string, Reply>([
      ['server', 'redis'],
      ['version', '7.0.0'],
      ['proto', 3],
    ]);
  };
  const handlers: Readonly<Record<string, (key: string, rest: readonly string[]) => Reply>> = {
    HELLO: (_, rest) => hello(rest),
    AUTH: () => 'OK',
    CLIENT: () => 'OK',
    SELECT: () => 'OK',
    PING: () => 'PONG',
    SISMEMBER: (key, [member = '']) => (sets.get(key)?.has(member) ? 1 : 0),
    SADD: (key, [member = '']) => {
      sets.set(key, (sets.get(key) ?? new Set()).add(member));
      return 1;
    },
    SREM: (key, [member = '']) => (sets.get(key)?.delete(member) ? 1 : 0),
    HSET: (key, rest) => {
      const hash = hashes.get(key) ?? new Map<string, string>();
      hashes.set(key, hash);
      for (let index = 0; index < rest.length; index += 2) hash.set(rest[index] ?? '', rest[index + 1] ?? '');
      return rest.length / 2;
    },
    HMGET: (key, rest) => rest.map((field) => hashes.get(key)?.get(field) ?? null),
    DEL: (key) => Number([strings, sets, hashes].map((all) => all.delete(key)).some(Boolean)),
    SET: (key, [value = '', condition, _, milliseconds]) => {
      if (condition === 'NX' && strings.has(key)) return null;
      strings.set(key, value);
      if (milliseconds !== undefined) expire(key, Number(milliseconds));
      return 'OK';
    },
    EVAL: (script, [, key = '', ...rest]) => scripted(script, key, rest),
  };
  const execute = ([name = '', key = '', ...rest]: readonly string[]): Reply => {
    commands.push(name);
    return handlers[name]?.(key, rest) ?? (name in handlers ? null : new Error(`ERR unknown command '${name}'`));
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
      for (let found = commandIn(text); found; found = commandIn(text)) {
        text = text.slice(found.length);
        const reply = execute(found.words);
        if (!state.isSilent) socket.write(encoded(reply));
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const disconnect = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return Object.assign(state, {
    url: `redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${port}`,
    ...{ strings, sets, hashes, commands, disconnect },
    close: async () => {
      server.close();
      disconnect();
      await once(server, 'close');
    },
  });
}

/** The first command of what has arrived, if all of it is there. https://redis.io/docs/latest/develop/reference/protocol-spec/ */
function commandIn(text: string): { readonly words: readonly string[]; readonly length: number } | undefined {
  const [, count = ''] = /^\*(\d+)\r\n/.exec(text) ?? [];
  if (count === '') return undefined;
  let at = count.length + 3;
  const words: string[] = [];
  for (let left = Number(count); left > 0; left -= 1) {
    const [head = '', length = ''] = /^\$(\d+)\r\n/.exec(text.slice(at)) ?? [];
    const end = at + head.length + Number(length);
    if (head === '' || text.length < end + 2) return undefined;
    words.push(text.slice(at + head.length, end));
    at = end + 2;
  }
  return { words, length: at };
}

function encoded(reply: Reply): string {
  if (reply === null) return '_\r\n';
  if (typeof reply === 'number') return `:${reply}\r\n`;
  if (typeof reply === 'string') return `$${Buffer.byteLength(reply)}\r\n${reply}\r\n`;
  if (reply instanceof Error) return `-${reply.message}\r\n`;
  if (reply instanceof Map) {
    const pairs = [...reply].map(([key, value]) => encoded(key) + encoded(value));
    return `%${reply.size}\r\n${pairs.join('')}`;
  }
  return `*${reply.length}\r\n${reply.map(encoded).join('')}`;
}
