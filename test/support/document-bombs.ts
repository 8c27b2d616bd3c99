// A process of its own: reads documents and lists that are made to take all memory, and prints how that ended.
import { messageOf, RegistryError } from '../../src/errors.ts';
import { fetchTransport } from '../../src/http/fetch-transport.ts';
import { type Client, createClient } from '../../src/remote/client.ts';

interface Bomb {
  readonly json: () => string;
  readonly type?: string;
  readonly read: (client: Client) => Promise<unknown>;
}

const indexType = 'application/vnd.oci.image.index.v1+json';
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const digest = `sha256:${'0'.repeat(64)}` as const;
const config = `{"mediaType":"application/json","digest":"${digest}","size":2}`;
const resolve = (client: Client): Promise<unknown> => client.resolve('host.test/app:x', { platform: 'linux/amd64' });
const tags = (client: Client): Promise<unknown> => client.fetcher('host.test/app').tags();
const referrers = (client: Client): Promise<unknown> => client.fetcher('host.test/app').referrers(digest);
const mebibyte = 1_048_576;

const bombs: Readonly<Record<string, Bomb>> = {
  'an index of empty objects': {
    json: () => `{"schemaVersion":2,"manifests":[${'{},'.repeat(1_390_000)}{}]}`,
    read: resolve,
  },
  'a manifest whose layers are numbers': {
    json: () => `{"schemaVersion":2,"config":${config},"layers":[${'0,'.repeat(2_000_000)}0]}`,
    type: manifestType,
    read: resolve,
  },
  'objects in objects': {
    json: () => `{"schemaVersion":2,"manifests":[],"x":${'{"a":'.repeat(600_000)}1${'}'.repeat(600_000)}}`,
    read: resolve,
  },
  'a list of empty objects': { json: () => `{"name":"app","tags":[${'{},'.repeat(5_500_000)}{}]}`, read: tags },
  'a list of many tags': { json: () => `{"name":"app","tags":[${'"a",'.repeat(4_100_000)}"a"]}`, read: tags },
  'a list of too many bytes': { json: () => `{"name":"app","tags":["${'a'.repeat(65 * mebibyte)}"]}`, read: tags },
  'referrers that are empty objects': {
    json: () => `{"schemaVersion":2,"mediaType":"${indexType}","manifests":[${'{},'.repeat(5_500_000)}{}]}`,
    read: referrers,
  },
};

async function explode({ json, type = indexType, read }: Bomb) {
  const body = json();
  const headers = { 'content-type': type, 'content-length': `${body.length}` };
  const respond = async (request: Request): Promise<Response> =>
    new Response(request.method === 'HEAD' ? null : body, { headers });
  await using client = createClient({
    transport: fetchTransport((input: Request | URL | string, init?: RequestInit) => respond(new Request(input, init))),
  });
  try {
    await read(client);
    return { code: 'none' };
  } catch (error) {
    if (!(error instanceof RegistryError)) return { code: messageOf(error) };
    return { code: error.code, reason: error.reason };
  }
}

export const documentBombs: readonly string[] = Object.keys(bombs);

if (process.argv.includes('--explode')) {
  for (const [kind, bomb] of Object.entries(bombs)) console.log(JSON.stringify({ kind, ...(await explode(bomb)) }));
}
