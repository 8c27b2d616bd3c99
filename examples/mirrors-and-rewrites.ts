// Contact a mirror first, under the name that the repository has there. Usage: node examples/mirrors-and-rewrites.ts [mirror]
import { createClient } from 'ocifetch';

const [mirror = 'http://localhost:5001'] = process.argv.slice(2);
const client = createClient({
  config: {
    registries: {
      'docker.io': {
        mirrors: [{ url: mirror, rewrites: [{ pattern: '^library/(.*)$', replacement: 'hub/$1' }] }],
      },
    },
  },
});

const { endpoints } = client.plan('app:1.0');
for (const { repository, namespace, scopes } of endpoints) console.log(repository, namespace ?? 'itself', ...scopes);

const { descriptor } = await client.resolve('app:1.0');
const content = await client.fetcher('app').fetch(descriptor);
await content.bytes();
console.log(`from the mirror: ${content.source === `${mirror}/v2`}`);

await content.close();
await client.close();

// Output:
// hub/app docker.io repository:hub/app:pull
// library/app itself repository:library/app:pull
// from the mirror: true
