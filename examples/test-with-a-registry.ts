// A registry for your tests, on a free port, and what goes wrong with it. Usage: node examples/test-with-a-registry.ts
import { createClient } from 'ocifetch';
import { testRegistry } from 'ocifetch/testing';

const registry = await testRegistry({
  images: { 'team/app:1.0': { files: { 'etc/motd': 'hello' }, platforms: ['linux/amd64', 'linux/arm64'] } },
  faults: [
    { kind: 'manifest', nth: 1, rateLimit: 0 },
    { kind: 'blob', nth: 1, cut: 20 },
  ],
});

const client = createClient();
const files = await client.files(registry.images['team/app:1.0'].reference, { platform: 'linux/arm64' });
const file = await files.open('etc/motd');
console.log(await file.text());
for (const { kind, status, fault } of registry.requests) {
  console.log(`${kind} ${status}${fault ? ` with ${JSON.stringify(fault)}` : ''}`);
}

await files.close();
await client.close();
await registry.close();

// Output:
// hello
// manifest 429 with {"kind":"manifest","nth":1,"rateLimit":0}
// manifest 200
// manifest 200
// blob 200 with {"kind":"blob","nth":1,"cut":20}
// blob 206
