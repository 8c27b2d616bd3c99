// Copy a set of images into one OCI layout, for a machine without a network, and check there that it is complete.
// Usage: node examples/mirror-a-set.ts [registry] [folder]
import { createClient, layoutStore } from 'ocifetch';

const [registry = 'localhost:5000', folder = 'images'] = process.argv.slice(2);
const images = [`${registry}/team/tools:1.0`, `${registry}/team/tools:2.0`];

const client = createClient();
const store = layoutStore(folder);
for (const image of images) {
  // Every platform, each image under its full name, as this layout holds several images.
  await client.pull(image, { to: store, platform: 'all', name: image.replace(`${registry}/`, '') });
}
await client.close();

console.log((await store.tags()).join(' '));

// On the other machine: all content is hashed again, and nothing that an image needs may be missing.
const report = await store.verify();
console.log(`wrong: ${report.wrong.length}, missing: ${report.missing.length}`);

// Output:
// team/tools:1.0 team/tools:2.0
// wrong: 0, missing: 0
