// A mirror of your own: content is fetched once, kept, and still served when the registry is gone.
// Usage: node examples/pull-through-mirror.ts [registry] [folder]
import { createClient } from 'ocifetch';
import { listen, pullThrough, serve } from 'ocifetch/server';

const [upstream = 'localhost:5000', store = 'mirror'] = process.argv.slice(2);
const registries = createClient();
const mirror = pullThrough({ upstream, store, client: registries, bytes: 50_000_000_000 });
const server = await listen(serve(mirror));

const client = createClient({
  config: {
    registries: { 'registry.example': { mirrors: [{ url: server.url, omitNamespace: true }], origin: 'never' } },
  },
});
const fetcher = client.fetcher('registry.example/team/tools');
const { descriptor } = await fetcher.resolve('1.0');
await (await fetcher.fetch(descriptor)).bytes();

// From here on the registry is out of reach.
await registries.close();
const content = await fetcher.fetch(descriptor);
await content.bytes();
const { kept, upstreams } = mirror.status();
console.log(`verified: ${content.verified}, kept: ${kept.contents}, requested once: ${upstreams[0]?.misses === 1}`);

await client.close();
await server.close();
await mirror.close();

// Output:
// verified: true, kept: 1, requested once: true
