// A mirror of your own: content is fetched once, kept, and still served when the registry is gone.
// Usage: node examples/pull-through-mirror.ts [registry] [folder]
import { join } from 'node:path';
import { cached, createClient, layoutStore } from 'ocifetch';
import { listen, serve } from 'ocifetch/server';

const [registry = 'localhost:5000', folder = 'mirror'] = process.argv.slice(2);
const upstream = createClient();
const mirror = await listen(
  serve(({ name }) => cached(upstream.fetcher(`${registry}/${name}`).source, layoutStore(join(folder, name)))),
);

const client = createClient({
  config: { registries: { 'registry.example': { mirrors: [{ url: mirror.url }], origin: 'never' } } },
});
const fetcher = client.fetcher('registry.example/team/tools');
const { descriptor } = await fetcher.resolve('1.0');
await (await fetcher.fetch(descriptor)).bytes();

// From here on the registry is out of reach.
await upstream.close();
const content = await fetcher.fetch(descriptor);
await content.bytes();
console.log(`through the mirror: ${content.source === `${mirror.url}/v2`}, verified: ${content.verified}`);

await client.close();
await mirror.close();

// Output:
// through the mirror: true, verified: true
