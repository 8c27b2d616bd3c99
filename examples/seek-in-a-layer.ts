// Read a few bytes from the middle of a layer, without downloading the rest. Usage: node examples/seek-in-a-layer.ts [registry]
import { createClient, parseManifest } from 'ocifetch';

const [registry = 'localhost:5000'] = process.argv.slice(2);
const client = createClient();
const fetcher = client.fetcher(`${registry}/library/app`);

const { descriptor } = await fetcher.resolve('1.0', { content: true });
const manifest = await fetcher.fetch(descriptor);
const { layers } = parseManifest(await manifest.bytes());
await manifest.close();

for (const layer of layers.slice(0, 1)) {
  const content = await fetcher.fetch(layer);
  // A tar archive keeps `ustar` at offset 257 of each file's header.
  await content.seek(257);
  const magic = new TextDecoder().decode(await content.read(5));
  console.log(`${magic} at ${content.position} of ${content.size}, verified: ${content.verified}`);
  await content.close();
}
await client.close();

// Output:
// ustar at 262 of 3072, verified: false
