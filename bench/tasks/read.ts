// Reads a blob and drops it, verified: with undici and a hash, or through a Content.
import { readFileSync } from 'node:fs';
import type { Blob } from '../support/images.ts';
import { hashed, report, taskOf } from '../support/task.ts';

/** How a blob is read. */
export interface ReadTask {
  readonly how: 'undici' | 'for await' | 'readable' | 'read';
  /** `127.0.0.1:5000`, and mirrors that are contacted first. */
  readonly host: string;
  readonly mirrors?: readonly string[];
  readonly repository: string;
  readonly blob: Blob;
  /** A file, if it is TLS. */
  readonly ca?: string;
  /** For `createClient`. */
  readonly limits?: object;
}

const { how, host, mirrors = [], repository, blob, ca, limits = {} } = taskOf<ReadTask>();
const origin = `${ca ? 'https' : 'http'}://${host}`;
const authorities = ca ? [readFileSync(ca, 'utf8')] : undefined;

// Each is loaded only where it is measured, as a module takes memory.
async function withUndici(): Promise<void> {
  const { Client } = await import('undici');
  const client = new Client(origin, authorities ? { connect: { ca: authorities } } : {});
  const path = `/v2/${repository}/blobs/${blob.digest}`;
  await (await client.request({ method: 'GET', path: '/v2/' })).body.dump();
  await report(async () => {
    const { body } = await client.request({ method: 'GET', path });
    await hashed(body, blob.digest);
    return undefined;
  });
  await client.close();
}

async function withContent(): Promise<void> {
  const { createClient, parseDescriptor } = await import('ocifetch');
  const client = createClient({
    config: {
      registries: {
        [host]: {
          mirrors: mirrors.map((mirror) => ({ url: `http://${mirror}` })),
          origin: { url: origin, ...(authorities && { tls: { ca: authorities } }) },
        },
      },
    },
    limits,
  });
  const fetcher = client.fetcher(`${host}/${repository}`);
  await fetcher.resolve('latest');
  await report(async () => {
    const content = await fetcher.fetch(parseDescriptor(blob));
    if (how === 'read') while ((await content.read(65_536)).length > 0);
    else for await (const _ of how === 'readable' ? content.readable() : content);
    if (!content.verified) throw new Error('the content was not verified');
    await content.close();
    return undefined;
  });
  await client.close();
}

await (how === 'undici' ? withUndici() : withContent());
