import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { memoryRegistry } from '../../src/registry/memory-registry.ts';
import { createClient } from '../../src/remote/client.ts';
import { listen } from '../../src/server/listen.ts';
import { serve } from '../../src/server/registry/serve.ts';
import { layoutStore } from '../../src/store/layout.ts';
import { createCleanup } from './support/cleanup.ts';
import { describeWith, locate } from './support/tools.ts';

const call = promisify(execFile);

// Podman writes zstd:chunked: a zstd layer with a table of its files, which are read one by one.
describeWith(['buildah', 'podman'], 'podman', () => {
  const cleanup = createCleanup();
  afterAll(() => cleanup.close(), 30_000);

  test('pushes zstd:chunked, of which one file is read and verified, and which is pulled whole', async () => {
    const folder = await cleanup.folder();
    const server = await listen(serve(memoryRegistry()));
    cleanup.add(server.close);
    const reference = `${new URL(server.url).host}/app:v1`;
    const big = randomBytes(4_000_000);
    await mkdir(join(folder, 'tree/etc'), { recursive: true });
    await writeFile(join(folder, 'tree/etc/hello'), 'hello\n');
    await writeFile(join(folder, 'tree/big'), big);
    const storage = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
    const tool = async (program: 'buildah' | 'podman', ...args: string[]): Promise<string> =>
      (await call(locate(program) ?? program, [...storage, ...args])).stdout.trim();
    const container = await tool('buildah', 'from', 'scratch');
    await tool('buildah', 'add', container, join(folder, 'tree'), '/');
    await tool('buildah', 'commit', container, 'made');
    const format = ['--compression-format', 'zstd:chunked', '--format', 'oci'];
    await tool('podman', 'push', '--tls-verify=false', ...format, 'localhost/made', `docker://${reference}`);

    const client = createClient();
    cleanup.add(client.close);
    const files = await client.files(reference);
    const hello = await files.open('etc/hello');
    // The layer has four million bytes: the file is verified by the table's digest, not by reading all of them.
    expect([await hello.text(), hello.verified]).toEqual(['hello\n', true]);
    const paths: string[] = [];
    for await (const { path } of files.list()) paths.push(path);
    expect(paths.sort()).toEqual(['big', 'etc', 'etc/hello']);
    expect(Buffer.compare(await (await files.open('big')).bytes(), big)).toBe(0);
    await files.close();
    const layout = join(folder, 'layout');
    const { descriptor } = await client.pull(reference, { to: layout });
    expect(descriptor.mediaType).toBe('application/vnd.oci.image.manifest.v1+json');
    expect((await layoutStore(layout).verify()).wrong).toEqual([]);
  }, 60_000);
});
