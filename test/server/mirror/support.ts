import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, createClient } from '../../../src/remote/client.ts';
import type { ClientOptions } from '../../../src/remote/client-options.ts';
import type { MirrorEvent } from '../../../src/server/mirror/activity.ts';
import { type PullThroughOptions, pullThrough } from '../../../src/server/mirror/pull-through.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import type { ServeOptions } from '../../../src/server/registry/serve-options.ts';
import { memoryStore } from '../../../src/store/memory.ts';
import type { Sample } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { type Answer, createHosts, type Hosts } from '../../support/hosts.ts';
import { ask } from '../support.ts';

/** A registry upstream whose state a test changes: what it has, and whether it is there. */
export interface Upstream {
  readonly answer: Answer;
  readonly store: ReturnType<typeof memoryStore>;
  /** Responds instead of the registry, if it returns something. */
  instead: (request: Request) => Response | Promise<Response> | undefined;
}

export async function upstreamWith(content: readonly Sample[]): Promise<Upstream> {
  const store = memoryStore();
  await fill(store, content);
  const handler = serve(() => store);
  const upstream: Upstream = {
    store,
    instead: () => undefined,
    answer: async (request) => (await upstream.instead(request)) ?? handler(request),
  };
  return upstream;
}

export const gone = (): Response => {
  throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
};

/** A mirror in process, in front of hosts in process. */
export interface TestMirror {
  get(line: string, headers?: Record<string, string>): Promise<Response>;
  readonly hosts: Hosts;
  /** A line for each request upstream since the last call: method, path, and the condition. */
  asked(): string[];
  readonly events: MirrorEvent[];
  readonly client: Client;
  readonly mirror: ReturnType<typeof pullThrough>;
  close(): Promise<void>;
}

export type MirrorSetup = Partial<PullThroughOptions> & {
  readonly serving?: ServeOptions;
  readonly clientOptions?: ClientOptions;
};

export function mirrorOf(
  answers: Readonly<Record<string, Answer>>,
  { serving, clientOptions, ...options }: MirrorSetup = {},
): TestMirror {
  const hosts = createHosts(answers);
  const client = createClient({ transport: hosts.transport, retries: { tries: 1 }, ...clientOptions });
  const events: MirrorEvent[] = [];
  const onEvent = (event: MirrorEvent): unknown => events.push(event);
  const mirror = pullThrough({ store: memoryStore(), upstream: 'hub.test', client, onEvent, ...options });
  const handler = serve(mirror, serving);
  let seen = 0;
  return {
    ...{ hosts, client, mirror, events },
    get: (line, headers = {}) => handler(ask(line, { headers })),
    asked: () => {
      const lines = hosts.requests.slice(seen).map(({ method, url, headers }) => {
        const { host, pathname } = new URL(url);
        const condition = headers.get('if-none-match');
        return [method, host + pathname, ...(condition === null ? [] : [condition])].join(' ');
      });
      seen = hosts.requests.length;
      return lines;
    },
    close: async () => {
      await mirror.close();
      await client.close();
    },
  };
}

/** A new folder, removed when the test has run. */
export async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-mirror-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
