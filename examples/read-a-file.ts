// Read one file of an image, as scanners and dev containers do, without downloading the rest.
// Usage: node examples/read-a-file.ts [registry]
import { createClient } from 'ocifetch';

const [registry = 'localhost:5000'] = process.argv.slice(2);
const client = createClient();
const files = await client.files(`${registry}/team/tools:1.0`, { platform: 'linux/amd64' });

for await (const { path, type, size } of files.list('etc')) console.log(path, type, size);

const release = await files.open('etc/os-release');
console.log((await release.text()).trim());

await files.close();
await client.close();

// Output:
// etc directory 0
// etc/os-release file 8
// ID=tools
