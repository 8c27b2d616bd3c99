// Decide by the fields of an error, not by its message. Usage: node examples/read-an-error.ts [registry]
import { createClient, RegistryError, readConfigTexts } from 'ocifetch';

const [registry = 'localhost:5000'] = process.argv.slice(2);
const client = createClient();

async function report(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    console.log(error.code, error.reason ?? '(no reason)');
    for (const { method, status, outcome } of error.attempts) console.log(`- ${method} ${status} ${outcome}`);
    for (const { line, key, found } of error.problems) console.log(`- line ${line}, ${key}: ${found}`);
    if (error.platforms) console.log(`- available: ${error.platforms.join(', ')}`);
  }
}

const text = 'registries:\n  quay.io:\n    mirror: []\n';
await report(() => client.resolve(`${registry}/team/tools:3.0`));
await report(() => client.resolve(`${registry}/team/tools:1.0`, { platform: 'linux/s390x' }));
await report(() => readConfigTexts([{ file: '/etc/ocifetch/config.yaml', kind: 'ocifetch', text }]));
await client.close();

// Output:
// NOT_FOUND (no reason)
// - HEAD 404 NOT_FOUND
// NOT_FOUND platform
// - available: linux/amd64
// INVALID_CONFIG (no reason)
// - line 3, registries["quay.io"].mirror: unknown key "mirror", did you mean "mirrors"?
