// npm run soak:aborts [-- count]: 2,000 operations that are aborted at a random moment. Fails on a rejection that nobody handles,
// a warning of the process, an operation that does not end, or what stays open.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Client, createClient, layoutStore, RegistryError } from 'ocifetch';
import { blob, broken, healthy, manifest, serveBroken, startBroken } from './support/broken-registry.ts';
import { finish, growth, held, inParallel, limitTime, settled } from './support/resources.ts';

const name = 'soak:aborts';
const kinds = [...healthy, ...broken];

interface Task {
  readonly client: Client;
  readonly repository: string;
  readonly signal: AbortSignal;
  /** A folder for layouts. */
  readonly folder: string;
}

const open = ({ client, repository, signal }: Task) => client.fetcher(repository).fetch(blob, { signal });

const works: readonly ((task: Task) => Promise<unknown>)[] = [
  async (task) => (await open(task)).bytes(),
  async (task) => {
    for await (const chunk of await open(task)) await sleep(chunk.length % 3);
  },
  async (task) => new Response((await open(task)).stream()).arrayBuffer(),
  async (task) => {
    for await (const chunk of (await open(task)).readable()) if (chunk.length === 0) break;
  },
  async (task) => {
    await using content = await open(task);
    await content.read(10);
    await content.seek(30_000);
    await content.read(10);
  },
  ({ client, repository, signal }) => client.resolve(`${repository}:latest`, { signal }),
  ({ client, repository, signal }) => client.fetcher(repository).tags({ signal }),
  async ({ client, repository, signal }) =>
    (await client.fetcher(repository).fetchByDigest(manifest.digest, { signal })).json(),
  ({ client, repository, signal, folder }) => {
    const store = layoutStore(join(folder, `${repository.split('/')[1]}`));
    return client.pull(`${repository}:latest`, { to: store, signal });
  },
];

/** Runs an operation, and aborts it after some milliseconds. Returns what is wrong. */
async function aborted(number: number, work: Omit<Task, 'signal'>): Promise<string | undefined> {
  const controller = new AbortController();
  const wait = Math.random() * 20 - 2;
  const timer = wait < 0 ? controller.abort() : setTimeout(() => controller.abort(new Error('enough')), wait);
  const late = new AbortController();
  try {
    const task = { ...work, signal: controller.signal };
    const end = sleep(20_000, 'late', { signal: late.signal }).catch(() => undefined);
    const done = await Promise.race([works[number % works.length]?.(task), end]);
    return done === 'late' ? `operation ${number % works.length} of ${work.repository} did not end in 20 s` : undefined;
  } catch (error) {
    return error instanceof RegistryError ? undefined : `not a RegistryError: ${error}`;
  } finally {
    if (timer) clearTimeout(timer);
    late.abort();
  }
}

async function soak(count: number): Promise<void> {
  limitTime(name, 10);
  const problems: string[] = [];
  process.on('unhandledRejection', (reason) => problems.push(`a rejection that nobody handles: ${reason}`));
  process.on('uncaughtException', (error) => problems.push(`an exception that nobody catches: ${error}`));
  process.on('warning', (warning) => problems.push(`a warning: ${warning}`));
  const { host, stop } = await startBroken(fileURLToPath(import.meta.url));
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-soak-'));
  const { signal } = new AbortController();
  const run = async (times: number): Promise<void> => {
    const client = createClient({ timeouts: { idle: 100 }, retries: { tries: 2, backoff: 1 } });
    await inParallel(times, 16, async (number) => {
      const repository = `${host}/${kinds[Math.floor(Math.random() * kinds.length)]}`;
      const problem = await aborted(number, { client, repository, folder });
      if (problem) problems.push(problem);
    });
    await client.close();
  };
  await run(count / 4);
  const before = await held(signal);
  await run((count / 4) * 3);
  problems.push(...growth(before, await settled(before, signal)));
  await stop();
  await rm(folder, { recursive: true, force: true });
  console.log(`${count} operations aborted at a random moment`);
  finish(name, [...new Set(problems)].slice(0, 10));
}

if (process.argv[2] === 'serve') await serveBroken();
else await soak(Number(process.argv[2] ?? 2_000));
