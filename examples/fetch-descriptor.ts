// Fetch the manifest behind a tag. Usage: node examples/fetch-descriptor.ts [registry]
import { createClient } from 'ocifetch';

const [registry = 'localhost:5000'] = process.argv.slice(2);
const client = createClient();

const { descriptor } = await client.resolve(`${registry}/library/app:1.0`);
const content = await client.fetcher(`${registry}/library/app`).fetch(descriptor);
const manifest = await content.json();

console.log(descriptor.mediaType);
console.log(Object.keys(manifest as object).join(' '));
console.log(`verified: ${content.verified}`);

await content.close();
await client.close();

// Output:
// application/vnd.oci.image.manifest.v1+json
// schemaVersion mediaType config layers
// verified: true
