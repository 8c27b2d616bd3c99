import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { listen, memoryStore, serve } from 'ocifetch/server';
import { main } from '../../src/cli/main.ts';
import { type Sample, samples } from '../contract/source.ts';
import { fill } from '../contract/store.ts';
import type { Built } from '../copy/support.ts';
import { atEnd, type Loopback } from '../support/http.ts';

export interface Ran {
  readonly code: number;
  readonly out: string[];
  readonly err: string[];
}

/** Runs a command line in this process, on no terminal, or on one that shows colours. */
export async function run(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  isTTY = false,
): Promise<Ran> {
  const printed = { stdout: '', stderr: '' };
  const sink = (name: keyof typeof printed) => ({
    isTTY,
    write: (chunk: string | Uint8Array) => {
      printed[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('latin1');
    },
  });
  const code = await main(args, { stdout: sink('stdout'), stderr: sink('stderr'), environment });
  const lines = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'));
  return { code, out: lines(printed.stdout), err: lines(printed.stderr) };
}

/** A directory with these files, and how messages about them read without its name. */
export async function folder(files: Readonly<Record<string, string>>) {
  const directory = await mkdtemp(join(tmpdir(), 'ocifetch-cli-'));
  atEnd(() => rm(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), text);
  }
  return {
    path: (name: string): string => join(directory, name),
    /** Without what differs from run to run. */
    plain: (lines: readonly string[]): string[] =>
      lines.map((line) =>
        line
          .replaceAll(directory, '/dir')
          .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT')
          .replace(/localhost:\d+/g, 'localhost:PORT')
          .replace(/\d+ ms/g, 'N ms')
          .replaceAll(samples.manifest.descriptor.digest, 'DIGEST')
          .replace(/until \d{4}-\d\d-\d\d/g, 'until DATE'),
      ),
  };
}

type Handler = Parameters<typeof listen>[0];

/** A registry on a socket that holds the samples, with `latest`, or what is given; `gate` stands before it. */
export async function registry({
  content = Object.values(samples),
  gate = (next) => next,
  tls,
}: {
  readonly content?: readonly Sample[];
  readonly gate?: (next: Handler) => Handler;
  readonly tls?: { readonly cert: string; readonly key: string };
} = {}): Promise<Pick<Loopback, 'url' | 'port'> & { readonly requests: string[] }> {
  const store = memoryStore();
  await fill(store, content);
  const requests: string[] = [];
  const inner = gate(serve(() => store));
  const listening = await listen(
    (request) => {
      const { pathname, search } = new URL(request.url);
      requests.push(`${request.method} ${pathname}${search}`);
      return inner(request);
    },
    tls ? { tls } : {},
  );
  atEnd(() => listening.close());
  return { url: listening.url, port: listening.port, requests };
}

/** What was built, with a tag for what it makes up. */
export const tagged = ({ root, parts }: Built, tag = 'latest'): Sample[] => [...parts, { ...root, tag }];

/** A host that gives the same answer to everything. */
export const answers =
  (status: number, body: string, type = 'application/json', headers: Record<string, string> = {}): (() => Handler) =>
  () =>
  async () =>
    new Response(body, { status, headers: { 'content-type': type, ...headers } });
