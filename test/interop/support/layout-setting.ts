import { join } from 'node:path';
import { type Client, memoryStore, type Store } from 'ocifetch';
import { listen, serve } from 'ocifetch/server';
import { afterAll, beforeAll } from 'vitest';
import { createCleanup } from './cleanup.ts';
import { makeSamples, type SampleName, type Samples } from './layout-samples.ts';
import { type LayoutTools, openTools } from './layout-tools.ts';
import { openClient } from './pull.ts';

/** Which part of a sample is pulled: everything, one platform, or two of three platforms. */
const choices = { all: 'all', one: 'linux/amd64', two: ['linux/amd64', 'linux/arm64'] } as const;
export type Choice = keyof typeof choices;

export interface LayoutSetting {
  readonly samples: Samples;
  readonly tools: LayoutTools;
  readonly client: Client;
  /** A registry on a loopback port: `team/app` holds the samples, any other repository is empty and accepts pushes. */
  readonly host: string;
  /** The content of a repository of the registry. */
  store(name: string): Store;
  /** An unused path in a temporary folder. */
  path(): string;
  /** Pulls a sample, under its name, into a new layout or an existing one, and returns its path. */
  pull(name: SampleName, choice?: Choice, to?: string): Promise<string>;
}

/** Sets up a suite. */
export function layoutSetting(): () => LayoutSetting {
  const cleanup = createCleanup();
  let setting: LayoutSetting | undefined;
  beforeAll(async () => {
    setting = await open(cleanup);
  });
  afterAll(() => cleanup.close());
  return () => {
    if (!setting) throw new Error('Cannot test: nothing is set up');
    return setting;
  };
}

async function open(cleanup: ReturnType<typeof createCleanup>): Promise<LayoutSetting> {
  const samples = await makeSamples(cleanup);
  const stores = new Map([['team/app', samples.store]]);
  const store = (name: string): Store => {
    const found = stores.get(name) ?? memoryStore();
    stores.set(name, found);
    return found;
  };
  const registry = await listen(serve(({ name }) => store(name)));
  cleanup.add(() => registry.close());
  const host = `127.0.0.1:${registry.port}`;
  const [tools, folder, client] = [await openTools(cleanup, host), await cleanup.folder(), openClient(cleanup, {})];
  let count = 0;
  const path = (): string => join(folder, `${++count}`);
  const pull: LayoutSetting['pull'] = async (name, choice = 'all', to = path()) => {
    await client.pull(`${host}/team/app:${name}`, { to, platform: choices[choice] });
    return to;
  };
  return { samples, tools, client, host, store, path, pull };
}
