// npm run demo                          a mirror dies in mid-blob, and the origin continues; with registries that the demo starts
// npm run demo -- localhost:5000/x:tag  the same pull from a registry of yours
import { fileURLToPath } from 'node:url';
import {
  type ClientEvent,
  type Config,
  createClient,
  type Descriptor,
  isIndexType,
  matchesPlatform,
  parseIndex,
  parseManifest,
  type Resolved,
} from 'ocifetch';
import { memoryStore } from 'ocifetch/server';
import { pushImage } from './image.ts';
import { describeEvent, printPlan, printProgress, printSummary } from './print.ts';
import { startRegistries } from './registries.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Pulls everything of a reference for linux/amd64; `beforeLayer` is called before each blob. */
async function pull(
  reference: string,
  config: Config,
  beforeLayer: (layer: Descriptor, isLargest: boolean) => void,
): Promise<void> {
  const events: ClientEvent[] = [];
  const onEvent = (event: ClientEvent): void => {
    events.push(event);
    const line = describeEvent(event);
    if (line !== undefined) console.log(line);
  };
  await using client = createClient({ config, onEvent });
  const plan = client.plan(reference);
  console.log(`The plan for ${reference}:\n`);
  printPlan(plan);
  const { descriptor }: Resolved = await client.resolve(reference, { content: true });
  console.log(`\nresolved ${reference}\n      to ${descriptor.digest} (${descriptor.mediaType})`);
  const fetcher = client.fetcher(plan.reference);
  const read = async (target: Descriptor): Promise<Uint8Array> => {
    await using content = await fetcher.fetch(target);
    return await content.bytes();
  };
  let manifest = descriptor;
  if (isIndexType(descriptor.mediaType)) {
    const { manifests } = parseIndex(await read(descriptor), descriptor.mediaType);
    const wanted = { os: 'linux', architecture: 'amd64' };
    const found = manifests.find(({ platform }) => platform && matchesPlatform(wanted, platform));
    if (!found) throw new Error(`${reference} has no image for linux/amd64`);
    manifest = found;
  }
  const { config: image, layers } = parseManifest(await read(manifest), manifest.mediaType);
  const largest = Math.max(...layers.map(({ size }) => size));
  for (const blob of [image, ...layers]) {
    beforeLayer(blob, blob.size === largest);
    await using content = await fetcher.fetch(blob);
    for await (const _chunk of content) printProgress(content);
    printProgress(content, true);
  }
  printSummary(events);
}

async function demo(): Promise<void> {
  const store = memoryStore();
  await pushImage(store, root, 'latest');
  const registries = await startRegistries(store);
  const config: Config = {
    registries: {
      'registry.example': {
        mirrors: [{ url: registries.mirror.url, rewrites: [{ pattern: '^(.*)$', replacement: 'hub/$1' }] }],
        origin: { url: registries.origin.url },
      },
    },
  };
  try {
    await pull('registry.example/team/ocifetch:latest', config, (layer, isLargest) => {
      if (isLargest) registries.cutAt(layer);
    });
  } finally {
    await registries.close();
  }
}

const [reference] = process.argv.slice(2);
try {
  await (reference === undefined ? demo() : pull(reference, {}, () => {}));
} catch (error) {
  console.error(error instanceof Error ? `${error.name}: ${error.message}` : error);
  process.exitCode = 1;
}
