// Resolves a tag again and again over a connection that is open: with ocifetch, or as bare HEAD requests of undici.
import { createClient } from 'ocifetch';
import { Client } from 'undici';
import { report, taskOf } from '../support/task.ts';

/** How often, where, and with what. */
export interface ResolveTask {
  readonly how: 'undici' | 'ocifetch';
  readonly host: string;
  readonly repository: string;
  readonly digest: string;
  readonly times: number;
}

const { how, host, repository, digest, times } = taskOf<ResolveTask>();
const http = new Client(`http://${host}`);
const client = createClient();
const fetcher = client.fetcher(`${host}/${repository}`);

async function once(): Promise<string> {
  if (how === 'ocifetch') return (await fetcher.resolve('latest')).descriptor.digest;
  const path = `/v2/${repository}/manifests/latest`;
  // By itself undici uses no connection again after HEAD.
  const { headers, body } = await http.request({ method: 'HEAD', path, reset: false });
  await body.dump();
  return String(headers['docker-content-digest']);
}

const many = async (count: number): Promise<void> => {
  for (let left = count; left > 0; left -= 1) {
    const found = await once();
    if (found !== digest) throw new Error(`the tag is ${found}, not ${digest}`);
  }
};

await many(Math.min(50, times));
await report(async () => {
  const started = performance.now();
  await many(times);
  return { 'µs each': ((performance.now() - started) * 1e3) / times };
});
await http.close();
await client.close();
