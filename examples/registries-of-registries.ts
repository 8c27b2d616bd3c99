// Registries made of others: what is pushed is your own and its tags do not move; everything else comes from another registry,
// is kept, and described from memory. Each operation is reported.
// Usage: node examples/registries-of-registries.ts [registry]
import { createClient, type Registry } from 'ocifetch';
import { cached, described, immutable, memoryRegistry, observed, serve, union } from 'ocifetch/server';

const [registry = 'localhost:5000'] = process.argv.slice(2);
const client = createClient();
const upstream: Registry = ({ name }) => client.fetcher(`${registry}/${name}`).source;

const operations: string[] = [];
const both = union(immutable(memoryRegistry()), cached(upstream, memoryRegistry()));
const handler = serve(observed(described(both), ({ operation }) => operations.push(operation)));

const send = (method: string, path: string) => handler(new Request(`http://localhost/v2/${path}`, { method }));
const pulled = await send('GET', 'team/tools/manifests/1.0');
await pulled.arrayBuffer();
const pushed = await send('POST', 'team/own/blobs/uploads/');
console.log(`pull: ${pulled.status}, push: ${pushed.status}, seen: ${operations.join(', ')}`);

await client.close();

// Output:
// pull: 200, push: 202, seen: resolve, fetch, begin-upload
