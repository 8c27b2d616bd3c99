import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { layoutRegistry } from '../../src/registry/layout-registry.ts';
import { memoryRegistry } from '../../src/registry/memory-registry.ts';
import { type Listening, listen } from '../../src/server/listen.ts';
import { serve } from '../../src/server/registry/serve.ts';
import type { Registry } from '../../src/source.ts';
import { createCleanup } from './support/cleanup.ts';
import { type Images, makeImages } from './support/images.ts';
import { type LayoutTools, linesOf, openTools } from './support/layout-tools.ts';
import { describeWith } from './support/tools.ts';

// Other clients against our registries: push, list, copy within, pull and delete.
for (const kind of ['memory', 'layouts']) {
  describeWith(['skopeo', 'crane', 'regctl', 'zstd', 'tar'], `clients of a registry in ${kind}`, () => {
    const cleanup = createCleanup();
    let images: Images;
    let server: Listening;
    let tools: LayoutTools;
    let host: string;

    beforeAll(async () => {
      images = await makeImages(cleanup);
      const registry: Registry = kind === 'memory' ? memoryRegistry() : layoutRegistry(await cleanup.folder());
      server = await listen(serve(registry));
      cleanup.add(server.close);
      host = new URL(server.url).host;
      tools = await openTools(cleanup, host);
    }, 60_000);
    afterAll(() => cleanup.close(), 30_000);

    const digestAt = async (reference: string): Promise<string | undefined> => {
      const [, name, tag] = /^[^/]+\/(.+):([^:]+)$/.exec(reference) ?? [];
      const response = await fetch(`${server.url}/v2/${name}/manifests/${tag}`, { method: 'HEAD' });
      return response.headers.get('docker-content-digest') ?? undefined;
    };

    test('skopeo pushes, lists, and deletes an image', async () => {
      const target = `${host}/skopeo/app:v1`;
      await tools.skopeo('copy', '--preserve-digests', `oci:${images.layout}:gzip`, `docker://${target}`);
      expect(await digestAt(target)).toBe(images.names.gzip.digest);
      expect(JSON.parse(await tools.skopeo('list-tags', `docker://${host}/skopeo/app`)).Tags).toEqual(['v1']);
      await tools.skopeo('delete', `docker://${target}`);
      expect(await digestAt(target)).toBe(undefined);
    });

    test('crane pushes, copies to another repository, lists the catalog, and deletes', async () => {
      const pulled = join(await cleanup.folder(), 'image.tar');
      const source = `${host}/crane/app:v1`;
      await tools.skopeo('copy', '--preserve-digests', `oci:${images.layout}:gzip`, `docker://${source}`);
      await tools.crane('copy', source, `${host}/crane/copied:v2`);
      expect(await digestAt(`${host}/crane/copied:v2`)).toBe(images.names.gzip.digest);
      await tools.crane('pull', `${host}/crane/copied:v2`, pulled);
      await tools.crane('push', pulled, `${host}/crane/pushed:v3`);
      expect(linesOf(await tools.crane('catalog', host))).toEqual(
        expect.arrayContaining(['crane/app', 'crane/copied', 'crane/pushed']),
      );
      await tools.crane('delete', `${host}/crane/copied:v2`);
      expect(await digestAt(`${host}/crane/copied:v2`)).toBe(undefined);
      expect(await digestAt(source)).toBe(images.names.gzip.digest);
    });

    test('regctl copies an index, deletes a tag alone, and mounts', async () => {
      const source = `${host}/regctl/app:v1`;
      await tools.regctl('image', 'copy', `ocidir://${images.layout}:platforms`, source);
      expect(await digestAt(source)).toBe(images.names.platforms.digest);
      await tools.regctl('image', 'copy', source, `${host}/regctl/other:v1`);
      await tools.regctl('image', 'copy', source, `${host}/regctl/other:v2`);
      await tools.regctl('tag', 'delete', `${host}/regctl/other:v1`);
      expect(linesOf(await tools.regctl('tag', 'ls', `${host}/regctl/other`))).toEqual(['v2']);
    });
  });
}
