import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { createImageFiles } from '../../src/files/image-files.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { createClient } from '../../src/remote/client.ts';
import { type Sample, sampleOf } from '../contract/source.ts';
import { createHosts, errorOf, sampleHost, text } from '../support/hosts.ts';
import { image, imageOf, listed, pathsOf, read, tarLayer } from '../support/images.ts';
import { contentOf, type Layer, layerOf, stargz } from '../support/layers.ts';
import { archive } from '../support/tar.ts';

test('upper layers win, and each entry has its layer', async () => {
  const layers = [tarLayer('etc/', 'etc/a=1', 'etc/b=1'), tarLayer('etc/b=22', 'etc/c=2')];
  const { files } = await imageOf(layers);
  const found = await listed(files);
  expect(
    found.map(({ path, size, layer }) => [path, size, layers.findIndex((one) => one.descriptor.digest === layer)]),
  ).toEqual([
    ['etc', 0, 0],
    ['etc/a', 1, 0],
    ['etc/b', 2, 1],
    ['etc/c', 1, 1],
  ]);
  expect([await read(files, 'etc/a'), await read(files, '/etc/b')]).toEqual(['1', '22']);
});

test('list takes a directory, a file or a link; a missing path is NOT_FOUND', async () => {
  const { files } = await image(['usr/bin/', 'usr/bin/env=1', 'bin->usr/bin', 'usr/a-b=1', 'usr/a/', 'usr/a/c=1']);
  expect(await pathsOf(files, 'usr')).toEqual(['usr/', 'usr/a/', 'usr/a/c', 'usr/a-b', 'usr/bin/', 'usr/bin/env']);
  expect(await pathsOf(files, '/bin/')).toEqual(['usr/bin/', 'usr/bin/env']);
  expect(await pathsOf(files, 'bin/env')).toEqual(['usr/bin/env']);
  const error = await errorOf(listed(files, 'usr/bin/evn'));
  expect(error).toMatchObject({ code: 'NOT_FOUND', reason: 'path', value: 'usr/bin/evn' });
  expect(error.message).toContain('"usr/bin/evn"');
  expect((await errorOf(listed(files, 'env'))).message).toContain('did you mean "usr/bin/env"?');
});

test('a suggested path exists', async () => {
  const { files } = await image(['etc/gone=1', 'opq/a/b=1', 'etc/kept=1'], ['etc/.wh.gone', 'opq/.wh..wh..opq']);
  for (const known of [false, true]) {
    if (known) await listed(files);
    for (const path of ['etc/gone', 'opq/a/c', 'opq/a']) {
      expect((await errorOf(files.open(path))).message).toMatch(/: not there$/);
    }
    expect((await errorOf(files.open('etc/kep'))).message).toContain('did you mean "etc/kept"?');
  }
});

test('closing ends everything that is open', async () => {
  const { files } = await image(['a=1']);
  const file = await files.open('a');
  await files.close();
  expect((await errorOf(file.bytes())).code).toBe('CLOSED');
  expect((await errorOf(files.open('a'))).code).toBe('CLOSED');
  expect((await errorOf(listed(files))).code).toBe('CLOSED');
});

const indexType = 'application/vnd.oci.image.index.v1+json';
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const jsonSample = (value: unknown, mediaType: string): Sample => sampleOf(text(JSON.stringify(value)), mediaType);

/** A registry of one image for two platforms; the upper layer is an eStargz. */
async function registry() {
  const layers = [
    layerOf(
      gzipSync(archive({ name: 'etc/os', data: 'lower' }, { name: 'bin/sh', data: 'shell' })),
      'application/vnd.oci.image.layer.v1.tar+gzip',
    ),
    stargz([{ path: 'etc/os', content: Buffer.from('upper') }]),
  ];
  const samples: Sample[] = layers.map((layer) => ({
    bytes: new Uint8Array(layer.bytes),
    descriptor: layer.descriptor,
  }));
  const config = jsonSample({}, 'application/vnd.oci.image.config.v1+json');
  const manifestOf = (used: readonly Layer[]) =>
    jsonSample(
      {
        schemaVersion: 2,
        mediaType: manifestType,
        config: config.descriptor,
        layers: used.map(({ descriptor }) => descriptor),
      },
      manifestType,
    );
  const both = manifestOf(layers);
  const one = manifestOf(layers.slice(0, 1));
  const platform = (architecture: string) => ({ os: 'linux', architecture });
  const manifests: Descriptor[] = [
    { ...both.descriptor, platform: platform('amd64') },
    { ...one.descriptor, platform: platform('riscv64') },
  ];
  const index = { ...jsonSample({ schemaVersion: 2, mediaType: indexType, manifests }, indexType), tag: 'latest' };
  const hosts = createHosts({ 'origin.test': await sampleHost([...samples, config, both, one, index]) });
  return { ...hosts, client: createClient({ transport: hosts.transport }), both: both.descriptor.digest };
}

test('client.files chooses the image of a platform, and reads what it needs', async () => {
  const { client, both, log } = await registry();
  await using files = await client.files('origin.test/app', { platform: 'linux/amd64' });
  expect([files.descriptor.digest, log().length]).toEqual([both, 2]);
  expect(await read(files, 'etc/os')).toBe('upper');
  expect(
    log()
      .slice(2)
      .every((line) => / bytes=\d+-\d+$/.test(line)),
  ).toBe(true);
  expect(await pathsOf(files)).toEqual(['bin/', 'bin/sh', 'etc/', 'etc/os']);
  await using other = await client.files('origin.test/app', { platform: { os: 'linux', architecture: 'riscv64' } });
  expect(await read(other, 'etc/os')).toBe('lower');
});

test('client.files names the available platforms, and takes a manifest by its digest', async () => {
  const { client, both } = await registry();
  const error = await errorOf(client.files('origin.test/app', { platform: 'windows/amd64' }));
  expect([error.code, error.message]).toEqual(['NOT_FOUND', expect.stringContaining('linux/amd64, linux/riscv64')]);
  await using files = await client.files(`origin.test/app@${both}`, { platform: 'linux/s390x' });
  expect(await read(files, 'bin/sh')).toBe('shell');
});

test('client.files looks into nested indexes, and takes the only image if it has no platform', async () => {
  const layer = layerOf(archive({ name: 'a', data: '1' }), 'application/vnd.oci.image.layer.v1.tar');
  const config = jsonSample({}, 'application/vnd.oci.image.config.v1+json');
  const fields = { config: config.descriptor, layers: [layer.descriptor] };
  const manifest = jsonSample({ schemaVersion: 2, mediaType: manifestType, ...fields }, manifestType);
  const content = [{ bytes: new Uint8Array(layer.bytes), descriptor: layer.descriptor }, config, manifest];
  const indexOf = (...manifests: Descriptor[]) =>
    jsonSample({ schemaVersion: 2, mediaType: indexType, manifests }, indexType);
  const s390x = { ...manifest.descriptor, platform: { os: 'linux', architecture: 's390x' } };
  for (const [inner, platform] of [
    [indexOf(manifest.descriptor), 'linux/amd64'],
    [indexOf(s390x), 'linux/s390x'],
    [indexOf({ ...indexOf(s390x).descriptor, platform: s390x.platform }), 'linux/s390x'],
  ] as const) {
    const outer = { ...indexOf(inner.descriptor), tag: 'latest' };
    const host = await sampleHost([...content, indexOf(s390x), inner, outer]);
    const client = createClient({ transport: createHosts({ 'origin.test': host }).transport });
    await using files = await client.files('origin.test/app', { platform });
    expect(await read(files, 'a')).toBe('1');
    if (platform === 'linux/amd64') continue;
    const other = await errorOf(client.files('origin.test/app', { platform: 'linux/amd64' }));
    expect([other.code, other.message]).toEqual(['NOT_FOUND', expect.stringContaining('there is linux/s390x')]);
  }
});

test.each([
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', true],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', true],
  ['application/vnd.oci.image.layer.v1.tar+gzip', false],
])('a layer that is missing at the registry is reported with its kind: %s', async (mediaType, isReported) => {
  const layer = layerOf(gzipSync(archive({ name: 'a', data: '1' })), mediaType);
  const config = jsonSample({}, 'application/vnd.oci.image.config.v1+json');
  const manifest = { schemaVersion: 2, mediaType: manifestType, config: config.descriptor, layers: [layer.descriptor] };
  const host = await sampleHost([config, { ...jsonSample(manifest, manifestType), tag: 'latest' }]);
  await using files = await createClient({ transport: createHosts({ 'origin.test': host }).transport }).files(
    'origin.test/app',
  );
  for (const reading of [files.open('a'), listed(files)]) {
    const error = await errorOf(reading);
    expect([error.code, error.status, error.attempts.length]).toEqual(['NOT_FOUND', 404, 1]);
    expect(error.message.includes(`it is a layer that is not distributable, "${mediaType}"`)).toBe(isReported);
  }
});

test('the client warns of a table of contents that cannot be used', async () => {
  const layer = layerOf(archive({ name: 'a', data: '1' }), 'application/vnd.oci.image.layer.v1.tar', {
    'containerd.io/snapshot/stargz/toc.digest': `sha256:${'0'.repeat(64)}`,
  });
  const config = jsonSample({}, 'application/vnd.oci.image.config.v1+json');
  const manifest = { schemaVersion: 2, mediaType: manifestType, config: config.descriptor, layers: [layer.descriptor] };
  const sample = { bytes: new Uint8Array(layer.bytes), descriptor: layer.descriptor };
  const host = await sampleHost([sample, config, { ...jsonSample(manifest, manifestType), tag: 'latest' }]);
  const warnings: string[] = [];
  const client = createClient({
    transport: createHosts({ 'origin.test': host }).transport,
    onEvent: (event) => void (event.type === 'warning' && warnings.push(event.text)),
  });
  await using files = await client.files('origin.test/app');
  expect(await read(files, 'a')).toBe('1');
  expect(warnings).toEqual([expect.stringContaining('does not end as eStargz does')]);
});

/** The files of an image whose second layer is odd, and what was reported. */
async function withOddLayer(odd: Layer) {
  const warnings: string[] = [];
  const layers = [tarLayer('low=1', 'both=low'), odd, tarLayer('high=2')];
  const contents = await Promise.all(layers.map(contentOf));
  const files = createImageFiles({
    descriptor: odd.descriptor,
    layers: contents.map(({ content }) => content),
    onWarning: (text) => void warnings.push(text),
  });
  return { files, warnings };
}

const tarType = 'application/vnd.oci.image.layer.v1.tar';
test.each([
  [
    'damaged',
    layerOf(Buffer.concat([archive({ name: 'early', data: '3' }).subarray(0, 1024), Buffer.alloc(600, 'x')])),
  ],
  ['packed in an unknown way', layerOf(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1]), tarType)],
  ['encrypted', layerOf(Buffer.from('x'), `${tarType}+encrypted`)],
  ['damaged in its packing', layerOf(gzipSync(archive({ name: 'x', data: '3' })).subarray(0, -30), `${tarType}+gzip`)],
])('a layer that is %s is reported, and the files of the others are read', async (_, odd) => {
  for (const listsFirst of [true, false]) {
    const { files, warnings } = await withOddLayer(odd);
    if (listsFirst) await listed(files);
    expect([await read(files, 'low'), await read(files, 'high')]).toEqual(['1', '2']);
    expect((await pathsOf(files)).filter((path) => path !== 'early' && path !== 'x')).toEqual(['both', 'high', 'low']);
    expect(warnings).toEqual([expect.stringContaining(odd.descriptor.digest)]);
    // It may be in the layer that cannot be read.
    const error = await errorOf(files.open('nowhere'));
    expect([['DECODE_ERROR', 'UNSUPPORTED'].includes(error.code), error.value]).toEqual([true, odd.descriptor.digest]);
  }
  const alone = await imageOf([odd]);
  expect(['DECODE_ERROR', 'UNSUPPORTED']).toContain((await errorOf(listed(alone.files))).code);
});

test('what comes before the damage of a layer is listed and read', async () => {
  const bytes = Buffer.concat([archive({ name: 'early', data: '3' }).subarray(0, 1024), Buffer.alloc(600, 'x')]);
  for (const listsFirst of [true, false]) {
    const { files } = await withOddLayer(layerOf(bytes));
    if (listsFirst) await listed(files);
    expect([await read(files, 'early'), (await pathsOf(files)).includes('early')]).toEqual(['3', true]);
  }
});

test('the signature of a chart is not a layer', async () => {
  const provenance = 'application/vnd.cncf.helm.chart.provenance.v1.prov';
  for (const [content, type] of [
    ['-----BEGIN PGP SIGNED MESSAGE-----\n'.repeat(40), provenance],
    ['short', provenance],
    ['{}', 'application/vnd.in-toto+json'],
  ] as const) {
    const { files, warnings } = await withOddLayer(layerOf(Buffer.from(content), type));
    expect([await pathsOf(files), await read(files, 'low'), warnings]).toEqual([['both', 'high', 'low'], '1', []]);
  }
});

test('names that are not UTF-8 are listed and opened, also through links', async () => {
  const bytes = Uint8Array.of(0x61, 0xff);
  const parts = [
    { name: bytes, data: '1' },
    { name: 'a\ufffd', data: '2' },
    { name: 'soft', flag: '2', fields: { 157: bytes } },
    { name: 'hard', flag: '1', fields: { 157: bytes } },
  ];
  for (const listsFirst of [true, false]) {
    const { files } = await image(parts);
    const paths = listsFirst ? await pathsOf(files) : ['a\\xff', 'a\ufffd', 'hard', 'soft'];
    const contents: string[] = [];
    for (const path of paths) contents.push(await read(files, path));
    expect([paths.sort(), contents.sort()]).toEqual([
      ['a\\xff', 'a\ufffd', 'hard', 'soft'],
      ['1', '1', '1', '2'],
    ]);
  }
});

test('a hard link is what its path was when it was made, whichever is called first', async () => {
  const layers = [
    ['a=old', 'kept=k'],
    ['b=>a', 'a=mid', 'c=>a', 'a=new', '.wh.kept', 'd=>kept', 'e=>later', 'later=l'],
    ['a=top'],
  ];
  for (const listsFirst of [true, false]) {
    const { files } = await image(...layers);
    if (listsFirst) await listed(files);
    const contents = async () => Promise.all(['a', 'b', 'c', 'd', 'e'].map((path) => read(files, path)));
    expect(await contents()).toEqual(['top', 'old', 'mid', 'k', 'l']);
    await listed(files);
    expect(await contents()).toEqual(['top', 'old', 'mid', 'k', 'l']);
  }
});

test.each([
  [['d/c=1'], ['d=file', 'd/.wh.c']],
  [['d/c=1'], ['d/.wh.c', 'd=file']],
  [['d/c=1'], ['d=file'], ['d/.wh.c']],
  [['d=file'], ['d/.wh..wh..opq']],
])('a whiteout below a file leaves the file, as umoci does: %j %j', async (...layers) => {
  for (const listsFirst of [true, false]) {
    const { files } = await image(...layers);
    if (listsFirst) await listed(files);
    expect([await read(files, 'd'), await pathsOf(files)]).toEqual(['file', ['d']]);
    expect((await errorOf(files.open('d/c'))).code).toBe('NOT_FOUND');
  }
});

test('small layers are fetched once, and of a path that one has twice the last is read, whichever is called first', async () => {
  const layers = [tarLayer('low=1'), tarLayer('a=1', 'l->b', 'b=1', 'a=2', 'b=3', 'c=>b', 'd/e=1', 'd=4')];
  for (const listsFirst of [true, false]) {
    const made = await Promise.all(layers.map(contentOf));
    const files = createImageFiles({ descriptor: tarLayer().descriptor, layers: made.map(({ content }) => content) });
    if (listsFirst) await listed(files);
    for (const verify of [false, true]) {
      const text = async (path: string): Promise<string> => (await files.open(path, { verify })).text();
      const contents: string[] = [];
      for (const path of ['a', 'l', 'c', 'd', 'low']) contents.push(await text(path));
      expect(contents).toEqual(['2', '3', '3', '4', '1']);
    }
    if (!listsFirst) expect(made.map(({ ranges }) => ranges.length)).toEqual([1, 1]);
    await listed(files);
    expect((await errorOf(files.open('d/e'))).code).toBe('NOT_FOUND');
  }
});

test('unknown options and wrong values of the files of an image are INVALID_CONFIG before any request', async () => {
  const client = createClient({ transport: () => Promise.reject(new Error('requested')) });
  const files = createImageFiles({ descriptor: tarLayer().descriptor, layers: [] });
  const wrong: readonly [run: () => Promise<unknown>, problem: string][] = [
    [() => client.files('a.test/b', { platfrom: 'linux' } as object), 'did you mean "platform"?'],
    [() => client.files('a.test/b', { unindexed: 1 } as object), 'unindexed: found 1, expected true or false'],
    [() => client.files('a.test/b', ['linux'] as object), 'expected an object of options'],
    [() => files.open('a', { verify: 'yes' } as object), 'verify: found "yes", expected true or false'],
    [() => files.open('a', { unindexed: true } as object), 'unknown option "unindexed"'],
    [
      async () =>
        files
          .list('', { signal: 5 } as object)
          [Symbol.asyncIterator]()
          .next(),
      'expected an AbortSignal',
    ],
  ];
  for (const [run, problem] of wrong) {
    const error = await errorOf(run());
    expect([error.code, error.message]).toEqual(['INVALID_CONFIG', expect.stringContaining(problem)]);
  }
});
