// Find what refers to an image (signatures, SBOMs, attestations). Usage: node examples/find-an-sbom.ts [registry]
import { createClient, parseManifest } from 'ocifetch';

const [registry = 'localhost:5000'] = process.argv.slice(2);
const client = createClient();
const fetcher = client.fetcher(`${registry}/team/tools`);

const { descriptor } = await fetcher.resolve('1.0');
for (const referrer of await fetcher.referrers(descriptor.digest, { artifactType: 'application/spdx+json' })) {
  const manifest = await fetcher.fetch(referrer);
  const { layers } = parseManifest(await manifest.bytes());
  for (const layer of layers) {
    const sbom = await fetcher.fetch(layer);
    console.log(referrer.artifactType, JSON.stringify(await sbom.json()));
  }
}

await client.close();

// Output:
// application/spdx+json {"spdxVersion":"SPDX-2.3"}
