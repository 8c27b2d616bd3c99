// A step of a build: write the layers of an image into a folder, even if a mirror dies meanwhile.
// Usage: node examples/build-pipeline.ts [registry] [folder]
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createClient, parseManifest, RegistryError } from 'ocifetch';

const [registry = 'localhost:5000', folder = 'layers'] = process.argv.slice(2);
const client = createClient({
  onEvent: (event) => {
    if (event.type === 'switch') console.log(`${event.from} broke off; ${event.to} continues`);
  },
});

try {
  const fetcher = client.fetcher(`${registry}/library/app`);
  const { descriptor } = await fetcher.resolve('1.0', { content: true, signal: AbortSignal.timeout(60_000) });
  const manifest = await fetcher.fetch(descriptor);
  const { layers } = parseManifest(await manifest.bytes());
  await mkdir(folder, { recursive: true });
  for (const layer of layers) {
    const file = `${folder}/${layer.digest.slice('sha256:'.length)}`;
    const content = await fetcher.fetch(layer);
    try {
      // A wrong digest fails the pipeline, so the file gets its final name only if its bytes are right.
      await pipeline(content.readable(), createWriteStream(`${file}.part`));
      await rename(`${file}.part`, file);
    } finally {
      await content.close();
      await rm(`${file}.part`, { force: true });
    }
    console.log(`${layer.size} bytes, verified: ${content.verified}`);
  }
} catch (error) {
  if (!(error instanceof RegistryError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
} finally {
  await client.close();
}

// Output:
// 3072 bytes, verified: true
// 4096 bytes, verified: true
