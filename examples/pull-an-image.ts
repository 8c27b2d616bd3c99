// Pull an image into an OCI layout that skopeo, crane and podman read, as a step of a build.
// Usage: node examples/pull-an-image.ts [registry] [folder]
import { createClient, RegistryError } from 'ocifetch';

const [registry = 'localhost:5000', folder = 'image'] = process.argv.slice(2);
let stored = 0;
const client = createClient({
  onEvent: (event) => {
    if (event.type === 'copy' && event.state === 'stored') stored += 1;
  },
});

try {
  const pulled = await client.pull(`${registry}/team/tools:1.0`, { to: folder, platform: 'linux/amd64' });
  console.log(`${stored} contents for ${pulled.descriptor.platform?.architecture}, of ${pulled.resolved.mediaType}`);
  // What the layout has is not requested again; a pull that broke off resumes at the byte where it stopped.
  const again = await client.pull(`${registry}/team/tools:1.0`, { to: folder, platform: 'linux/amd64' });
  console.log(`again: ${again.copied} bytes`);
} catch (error) {
  if (!(error instanceof RegistryError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
} finally {
  await client.close();
}

// Output:
// 3 contents for amd64, of application/vnd.oci.image.index.v1+json
// again: 0 bytes
