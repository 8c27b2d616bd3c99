import { createClient, parseManifest } from 'ocifetch';
import { type TestImage, testRegistry } from 'ocifetch/testing';
import { expect, onTestFinished, test } from 'vitest';
import { buildImage } from '../../src/testing/images.ts';

const jsonOf = ({ bytes }: { readonly bytes: Uint8Array }) => JSON.parse(new TextDecoder().decode(bytes));

/** A registry with one image, and a client. */
async function with1(image: TestImage) {
  const registry = await testRegistry({ images: { 'team/app:1.0': image } });
  const client = createClient();
  onTestFinished(async () => {
    await client.close();
    await registry.close();
  });
  return { registry, client, image: registry.images['team/app:1.0'] };
}

test('an image without platforms is one manifest for linux/amd64, whose config has the digests of the archives', () => {
  const image = buildImage({ files: { a: 'x' }, config: { config: { Cmd: ['sh'] } }, annotations: { note: 'n' } });
  const [layer] = image.layers;
  expect(jsonOf(image)).toEqual({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: image.manifests[0]?.config.descriptor,
    layers: [layer?.descriptor],
    annotations: { note: 'n' },
  });
  expect(layer?.descriptor.mediaType).toBe('application/vnd.oci.image.layer.v1.tar+gzip');
  expect(jsonOf(image.manifests[0]?.config ?? image)).toEqual({
    os: 'linux',
    architecture: 'amd64',
    config: { Cmd: ['sh'] },
    rootfs: {
      type: 'layers',
      diff_ids: [buildImage({ files: { a: 'x' }, compression: 'none' }).layers[0]?.descriptor.digest],
    },
  });
});

test('the same description has the same digests, on every machine', () => {
  const image: TestImage = {
    platforms: ['linux/amd64', 'linux/arm/v7'],
    layers: [{ files: { 'etc/motd': 'hello' } }, { files: { b: { size: 10 } }, compression: 'zstd' }],
  };
  expect(buildImage(image)).toEqual(buildImage(structuredClone(image)));
  expect(buildImage(image).descriptor.digest).toBe(
    'sha256:49f9837735a9965e1e280fc91d40ee88ec15f0ecb18bfdc5c69f0da1fb5f9f52',
  );
});

test.each(['gzip', 'zstd', 'none'] as const)(
  'a client reads the files of layers with compression %s',
  async (compression) => {
    const layers = [{ files: { 'etc/motd': 'old', gone: '1' } }, { files: { 'etc/motd': 'hello', '.wh.gone': '' } }];
    const { client, image } = await with1({ layers, compression });
    const files = await client.files(image.reference);
    expect(await (await files.open('etc/motd')).text()).toBe('hello');
    await expect(files.open('gone')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  },
);

test('with `platforms` it is an index; a record says what is different for each', async () => {
  const { client, image } = await with1({
    files: { name: 'any' },
    annotations: { note: 'of the index' },
    platforms: {
      'linux/amd64': {},
      'linux/arm64/v8': { layers: [{ files: { name: 'arm' } }], annotations: { note: 'arm' } },
    },
  });
  expect(image.descriptor.mediaType).toBe('application/vnd.oci.image.index.v1+json');
  expect(jsonOf(image).annotations).toEqual({ note: 'of the index' });
  expect(image.manifests.map((manifest) => jsonOf(manifest).annotations)).toEqual([undefined, { note: 'arm' }]);
  for (const [platform, name] of Object.entries({ 'linux/amd64': 'any', 'linux/arm64': 'arm' })) {
    const files = await client.files(image.reference, { platform });
    expect(await (await files.open('name')).text()).toBe(name);
  }
  expect(image.layers).toHaveLength(2);
});

test("`format: 'docker'` has Docker's media types", () => {
  const { descriptor, manifests } = buildImage({ format: 'docker', files: {}, platforms: ['linux/amd64'] });
  expect(
    [descriptor, manifests[0], manifests[0]?.config, manifests[0]?.layers[0]].map(
      (one) => one && ('descriptor' in one ? one.descriptor : one).mediaType,
    ),
  ).toEqual([
    'application/vnd.docker.distribution.manifest.list.v2+json',
    'application/vnd.docker.distribution.manifest.v2+json',
    'application/vnd.docker.container.image.v1+json',
    'application/vnd.docker.image.rootfs.diff.tar.gzip',
  ]);
});

test('an artifact has its type, an empty config and blobs as they are; `subject` makes it a referrer', async () => {
  await using registry = await testRegistry({
    images: {
      'team/app:1.0': { files: {}, tags: ['1', 'stable'] },
      'team/app:sbom': {
        artifactType: 'application/spdx+json',
        layers: [
          { bytes: '{"a":1}', mediaType: 'application/spdx+json', annotations: { title: 'sbom' } },
          { bytes: Uint8Array.of(7) },
        ],
        subject: 'team/app:1.0',
        untagged: true,
      },
    },
  });
  await using client = createClient();
  const fetcher = client.fetcher(`${registry.host}/team/app`);
  const { 'team/app:1.0': app, 'team/app:sbom': sbom } = registry.images;
  expect(await fetcher.tags()).toEqual(['1', '1.0', 'stable']);
  expect(sbom.reference).toBe(`${registry.host}/team/app@${sbom.descriptor.digest}`);
  const [referrer] = await fetcher.referrers(app.descriptor.digest, { artifactType: 'application/spdx+json' });
  expect(referrer?.digest).toBe(sbom.descriptor.digest);
  const { layers, config } = parseManifest(sbom.bytes);
  expect(config.mediaType).toBe('application/vnd.oci.empty.v1+json');
  expect(layers.map(({ mediaType, annotations }) => ({ mediaType, annotations }))).toEqual([
    { mediaType: 'application/spdx+json', annotations: { title: 'sbom' } },
    { mediaType: 'application/octet-stream', annotations: undefined },
  ]);
  expect(await (await fetcher.fetch(layers[0] ?? config)).text()).toBe('{"a":1}');
});
