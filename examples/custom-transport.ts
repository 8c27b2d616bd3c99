// Wrap every HTTP exchange in code of your own. Usage: node examples/custom-transport.ts [registry]
import { createClient, socketTransport, type Wrapper, wrap } from 'ocifetch';

const [registry = 'localhost:5000'] = process.argv.slice(2);

/** Prints each request exactly as it is sent, after redirects and authorization. */
const trace: Wrapper = (next) => async (request) => {
  const response = await next(request);
  console.log(request.method, new URL(request.url).pathname.replace(/sha256:.*/, 'sha256:…'), response.status);
  return response;
};

const connections = socketTransport();
const client = createClient({ transport: wrap(connections, trace) });

const { descriptor } = await client.resolve(`${registry}/library/app:1.0`);
const content = await client.fetcher(`${registry}/library/app`).fetch(descriptor);
await content.bytes();

await client.close();
await connections.close();

// Output:
// HEAD /v2/library/app/manifests/1.0 200
// GET /v2/library/app/manifests/sha256:… 200
