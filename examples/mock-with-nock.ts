// Test code that fetches, without a registry: nock responds in its place. Usage: node examples/mock-with-nock.ts
import nock from 'nock';
import { createClient, digestOf, fetchTransport, mediaTypes } from 'ocifetch';

const bytes = new TextEncoder().encode('hello from a mock');
const layer = { mediaType: mediaTypes.ociLayer, digest: digestOf(bytes), size: bytes.length };

nock('https://registry.example').get(`/v2/team/app/blobs/${layer.digest}`).reply(200, Buffer.from(bytes));

// nock sees the runtime's own fetch, not sockets.
const client = createClient({ transport: fetchTransport() });
const content = await client.fetcher('registry.example/team/app').fetch(layer);

console.log(await content.text());
console.log(`verified: ${content.verified}, mocks left: ${nock.pendingMocks().length}`);

await client.close();
nock.restore();

// Output:
// hello from a mock
// verified: true, mocks left: 0
