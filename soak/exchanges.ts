// npm run soak:exchanges [-- count]: 10,000 exchanges of one client, about half of which fail. Fails, and says what grew, unless heap,
// timers, handles, listeners and descriptors stay level. `leak` after the count leaks a listener for each: it must fail.
import { fileURLToPath } from 'node:url';
import { type Client, createClient, RegistryError } from 'ocifetch';
import { blob, broken, healthy, type Kind, serveBroken, startBroken } from './support/broken-registry.ts';
import { finish, growth, held, inParallel, limitTime, settled } from './support/resources.ts';

const name = 'soak:exchanges';
const rounds = 5;

const newClient = (): Client =>
  createClient({
    timeouts: { idle: 100 },
    retries: { tries: 1, backoff: 1 },
    limits: { concurrency: 64 },
  });

/** What is done with a repository, one after the other. */
const works: readonly ((client: Client, repository: string, signal: AbortSignal) => Promise<unknown>)[] = [
  async (client, repository, signal) => (await client.fetcher(repository).fetch(blob, { signal })).bytes(),
  async (client, repository, signal) => {
    await using content = await client.fetcher(repository).fetch(blob, { signal });
    for await (const chunk of content) if (chunk.length === 0) break;
  },
  async (client, repository, signal) => {
    await using content = await client.fetcher(repository).fetch(blob, { signal });
    await content.seek(20_000);
    await content.read(39_999);
    await content.read(1);
  },
];

async function soak(count: number, isLeaking = false): Promise<void> {
  limitTime(name, 10);
  const { host, stop } = await startBroken(fileURLToPath(import.meta.url));
  const { signal } = new AbortController();
  const failures = { expected: 0, other: [] as string[] };
  const one = async (client: Client, number: number): Promise<void> => {
    const kinds: readonly Kind[] = number % 2 === 0 ? healthy : broken;
    const kind = kinds[(number >> 1) % kinds.length] ?? 'plain';
    if (isLeaking) signal.addEventListener('abort', () => number);
    try {
      await works[number % works.length]?.(client, `${host}/${kind}`, signal);
    } catch (error) {
      if (number % 2 === 1 && error instanceof RegistryError) failures.expected += 1;
      else failures.other.push(`"${kind}" failed: ${error}`);
    }
  };
  // What is loaded and compiled by the first exchanges stays.
  const first = newClient();
  await inParallel(count / rounds, 32, (number) => one(first, number));
  await first.close();
  const before = await held(signal);
  const client = newClient();
  let begun: Awaited<ReturnType<typeof held>> | undefined;
  for (let round = 1; round < rounds; round++) {
    await inParallel(count / rounds, 32, (number) => one(client, number));
    const now = await held(signal);
    begun ??= now;
    console.log(`${(count / rounds) * (round + 1)} exchanges, ${failures.expected} failed: ${JSON.stringify(now)}`);
  }
  const { heap } = await held(signal);
  await client.close();
  const problems = [
    ...growth({ ...before, heap: begun?.heap ?? 0 }, { ...(await settled(before, signal)), heap }),
    ...failures.other.slice(0, 5),
  ];
  if (failures.expected < count * 0.4) problems.push(`only ${failures.expected} of ${count} exchanges failed`);
  await stop();
  finish(name, problems);
}

if (process.argv[2] === 'serve') await serveBroken();
else await soak(Number(process.argv[2] ?? 10_000), process.argv[3] === 'leak');
