import { writeFile } from 'node:fs/promises';
import { type Client, type ClientEvent, type Descriptor, type FileEntry, layoutStore, parseManifest } from 'ocifetch';
import { afterAll, expect, test } from 'vitest';
import { createCleanup } from './support/cleanup.ts';
import type { SampleName } from './support/layout-samples.ts';
import { layoutSetting } from './support/layout-setting.ts';
import { linesOf } from './support/layout-tools.ts';
import { openClient } from './support/pull.ts';
import { exportImage, readImage } from './support/read-image.ts';
import { describeWith } from './support/tools.ts';

const needs = ['zstd', 'tar'] as const;

async function expectVerified(layout: string, digest: string): Promise<void> {
  const report = await layoutStore(layout).verify();
  expect(report).toMatchObject({ wrong: [], missing: [], strangers: [] });
  expect(report.checked).toBeGreaterThan(2);
  expect((await layoutStore(layout).resolve('v1')).digest).toBe(digest);
}

describeWith(['regctl', 'crane', ...needs], 'images that regctl image mod changed', () => {
  const setting = layoutSetting();

  const kept = { 'etc/motd': true, 'etc/arch': true };
  test.each<[string, SampleName, readonly string[], Readonly<Record<string, boolean>>]>([
    ['a file removed', 'platforms-gzip', ['--layer-strip-file', './etc/motd'], { ...kept, 'etc/motd': false }],
    ['a layer removed', 'gzip', ['--layer-rm-index', '1'], { 'etc/motd': true, 'opt/large': false }],
    ['layers compressed with zstd', 'platforms-gzip', ['--layer-compress', 'zstd'], kept],
    ['layers not compressed', 'platforms-gzip', ['--layer-compress', 'none'], kept],
    ['Docker media types', 'platforms-gzip', ['--to-docker'], kept],
    ['sha512 digests', 'platforms-gzip', ['--digest-algo', 'sha512'], kept],
    ['data in descriptors', 'gzip', ['--data-max', '4096'], { 'etc/motd': true, 'opt/large': true }],
    ['fixed times', 'platforms-gzip', ['--time', 'set=2020-01-02T03:04:05Z'], kept],
    ['annotations', 'platforms-gzip', ['--annotation', '[*]org.example.by=Ann'], kept],
  ])(
    '%s: the image is pulled, verified, and its files are those that crane exports',
    async (_, name, change, expected) => {
      const { tools, host, client, path } = setting();
      const [changed, layout] = [`${host}/team/changed${change[0]}:v1`, path()];
      await tools.regctl('image', 'mod', `${host}/team/app:${name}`, '--create', changed, ...change);
      const { descriptor } = await client.resolve(changed);
      expect(descriptor.digest).toBe(linesOf(await tools.regctl('image', 'digest', changed))[0]);
      await client.pull(changed, { to: layout, platform: 'all' });
      await expectVerified(layout, descriptor.digest);
      const read = await readImage(changed, path());
      expect(read).toEqual(await exportImage(tools, changed, path()));
      for (const [file, isThere] of Object.entries(expected))
        expect([file, file in read.files]).toEqual([file, isThere]);
    },
  );

  // regctl 0.11 puts the index itself, not the manifests, into the descriptors of an index. crane ends with an error.
  test('wrong data in the descriptors of an index does not matter, the manifests are fetched', async () => {
    const { tools, host, client, path } = setting();
    const [original, changed, layout] = [`${host}/team/app:platforms-gzip`, `${host}/team/data:v1`, path()];
    await tools.regctl('image', 'mod', original, '--create', changed, '--data-max', '4096');
    await expect(exportImage(tools, changed, path())).rejects.toThrow('error verifying Digest');
    await client.pull(changed, { to: layout, platform: 'all' });
    await expectVerified(layout, (await client.resolve(changed)).descriptor.digest);
    expect(await readImage(changed, path())).toEqual(await exportImage(tools, original, path()));
  });

  test('from Docker media types back to OCI: the image is pulled, and its referrer is found and fetched', async () => {
    const { tools, host, client, path } = setting();
    const [docker, oci, layout] = [`${host}/team/docker:v1`, `${host}/team/oci:v1`, path()];
    await tools.regctl('image', 'mod', `${host}/team/app:gzip`, '--create', docker, '--to-docker');
    await tools.regctl('image', 'mod', docker, '--create', oci, '--to-oci', '--annotation', 'org.example.by=Ann');
    const media = async (reference: string): Promise<string> => (await client.resolve(reference)).descriptor.mediaType;
    expect([await media(docker), await media(oci)]).toEqual([
      'application/vnd.docker.distribution.manifest.v2+json',
      'application/vnd.oci.image.manifest.v1+json',
    ]);
    const file = path();
    await writeFile(file, 'SPDXVersion: SPDX-2.3\n');
    const type = 'application/vnd.example.sbom';
    await tools.regctl('artifact', 'put', '--subject', oci, '--artifact-type', type, '--file', file);
    const { digest } = (await client.resolve(oci)).descriptor;
    const [referrer, ...others] = await client.fetcher(`${host}/team/oci`).referrers(digest);
    expect([referrer?.artifactType, others]).toEqual([type, []]);
    await client.pull(oci, { to: layout });
    await client.pull(`${host}/team/oci@${referrer?.digest}`, { to: layout, name: 'sbom' });
    await expectVerified(layout, digest);
    expect((await layoutStore(layout).referrers(digest)).map((each) => each.digest)).toEqual([referrer?.digest]);
  });
});

async function layersOf(client: Client, reference: string): Promise<readonly Descriptor[]> {
  const { descriptor } = await client.resolve(reference);
  await using content = await client.fetcher(reference.replace(/:[^:/]*$/, '')).fetch(descriptor);
  return parseManifest(await content.bytes(), descriptor.mediaType).layers;
}

describeWith(['skopeo', 'crane', ...needs], 'layers that skopeo compressed as zstd:chunked', () => {
  const setting = layoutSetting();
  const cleanup = createCleanup();
  afterAll(() => cleanup.close());

  test('files are listed and read by the ranges of the table and of their own bytes', async () => {
    const { tools, host, path } = setting();
    const [original, reference] = [`${host}/team/app:gzip`, `${host}/team/chunked:gzip`];
    const format = ['--dest-compress-format', 'zstd:chunked'];
    await tools.skopeo('copy', '--quiet', ...format, `docker://${original}`, `docker://${reference}`);
    const events: ClientEvent[] = [];
    const client = openClient(cleanup, { onEvent: (event) => events.push(event) });
    const layers = await layersOf(client, reference);
    const total = layers.reduce((sum, { size }) => sum + size, 0);
    for (const { annotations = {} } of layers) expect(Object.keys(annotations).join()).toContain('.zstd-chunked.');
    events.length = 0;
    await using files = await client.files(reference, { platform: 'linux/amd64' });
    const listed: FileEntry[] = [];
    for await (const entry of files.list()) listed.push(entry);
    const opened = await files.open('etc/motd');
    const text = await opened.text();
    expect([text.slice(0, 14), opened.verified]).toEqual(['Good morning.\n', true]);
    const requests = events.flatMap((event) =>
      event.type === 'request' && event.url.includes('/blobs/') ? [event] : [],
    );
    expect(requests.every(({ range }) => range !== undefined)).toBe(true);
    expect(requests.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(total / 10);
    const exported = await exportImage(tools, original, path());
    expect(listed.map((entry) => entry.path).sort()).toEqual(exported.paths);
    expect(await readImage(reference, path())).toEqual(exported);
  });
});
