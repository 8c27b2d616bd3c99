import { bytesBody } from '../body.ts';
import { type MemoryRegistry, memoryRegistry } from '../registry/memory-registry.ts';
import { asyncDispose } from '../runtime.ts';
import type { MemoryStore } from '../store/memory.ts';
import { createExchange } from './exchange.ts';
import type { Fault, TestRequest } from './faults.ts';
import { faultyServer } from './faulty-server.ts';
import { type BuiltImage, buildImage, type ImageContents, type TestImage } from './images.ts';
import { checkFault, checkImage, checkTestOptions, type TestRegistryOptions } from './options.ts';

/** A registry for tests, on a free port of 127.0.0.1. It takes pushes, too. */
export interface TestRegistry<Name extends string = string> extends AsyncDisposable {
  /** `http://127.0.0.1:41000`, without a slash at the end. */
  readonly url: string;
  /** Host and port, as references have them: `127.0.0.1:41000`. */
  readonly host: string;
  readonly images: Readonly<Record<Name, BuiltImage>>;
  /** All that came, in the order of arrival. */
  readonly requests: readonly TestRequest[];
  /** Connections that are open. */
  readonly connections: () => number;
  /** A repository, to look into it or to fill it. */
  repository(name: string): MemoryStore;
  /** Adds an image, or another one of this name. Errors as those of `testRegistry`. */
  add(name: string, image: TestImage): Promise<BuiltImage>;
  /** Adds a fault, after all others. */
  fail(fault: Fault): void;
  /** Forgets all faults and requests, and lets expired tokens be valid again. */
  reset(): void;
  /** It is down: all connections are reset and new ones refused, until `start`. */
  stop(): Promise<void>;
  /** Listens again, on the same port. Rejects with the system's error if another program has taken it meanwhile. */
  start(): Promise<void>;
  /** Ends all connections. Safe to call again. */
  close(): Promise<void>;
}

/**
 * A registry with images on a loopback port, whose responses go wrong as `faults` say. Whoever made it closes it.
 *
 * ```ts
 * await using registry = await testRegistry({
 *   images: { 'team/app:1.0': { files: { 'etc/motd': 'hello' } } },
 *   faults: [{ kind: 'blob', nth: 1, cut: 10 }],
 * });
 * ```
 */
export async function testRegistry<const Name extends string = never>(
  options: TestRegistryOptions<Name> = {},
): Promise<TestRegistry<Name>> {
  checkTestOptions(options);
  const { images: described = {} as Record<Name, TestImage>, faults = [], tls } = options;
  const registry = memoryRegistry();
  const images = new Map<string, ImageContents & ImageNames>();
  const add = async (name: string, image: TestImage): Promise<void> => {
    images.set(name, await addImage(registry, images, name, image));
  };
  for (const [name, image] of Object.entries<TestImage>(described)) await add(name, image);
  const exchange = createExchange(registry, options);
  for (const fault of faults) exchange.script.add(fault);
  const server = await faultyServer(exchange.respond, tls);
  exchange.onDown(server.stop);
  const host = `127.0.0.1:${server.port}`;
  const built = (name: string): BuiltImage => {
    const image = images.get(name) as ImageContents & ImageNames;
    const [tag] = image.tags;
    return {
      ...image,
      reference: `${host}/${image.repository}${tag === undefined ? `@${image.descriptor.digest}` : `:${tag}`}`,
    };
  };
  const { start, connections, close } = server;
  return {
    url: `${tls ? 'https' : 'http'}://${host}`,
    host,
    images: Object.fromEntries([...images.keys()].map((name) => [name, built(name)])) as Record<Name, BuiltImage>,
    requests: exchange.requests,
    connections,
    repository: (name) => registry({ registry: host, name }),
    add: async (name, image) => {
      checkImage(name, image, [...images.keys()]);
      await add(name, image);
      return built(name);
    },
    fail: (fault) => {
      checkFault(fault, options);
      exchange.script.add(fault);
    },
    reset: exchange.reset,
    stop: () => server.stop(),
    start,
    close,
    [asyncDispose]: close,
  };
}

type ImageNames = Pick<BuiltImage, 'repository' | 'tags'>;

async function addImage(
  registry: MemoryRegistry,
  known: ReadonlyMap<string, ImageContents>,
  given: string,
  image: TestImage,
): Promise<ImageContents & ImageNames> {
  const [repository = '', tag = 'latest'] = given.split(':');
  const tags = [...(image.untagged ? [] : [tag]), ...(image.tags ?? [])];
  const subject = image.subject === undefined ? undefined : known.get(image.subject)?.descriptor;
  const contents = buildImage(image, subject);
  const { manifests, layers, descriptor } = contents;
  const store = registry({ registry: 'localhost', name: repository });
  for (const { descriptor: target, bytes } of [
    ...layers,
    ...manifests.map(({ config }) => config),
    ...manifests,
    contents,
  ]) {
    await store.push(target, bytesBody(bytes));
  }
  for (const name of tags) await store.tag(descriptor, name);
  return { ...contents, repository, tags };
}
