import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { copy, layoutStore, memoryStore } from 'ocifetch';
import { expect, test } from 'vitest';
import { type SampleName, sampleNames } from './support/layout-samples.ts';
import { layoutSetting } from './support/layout-setting.ts';
import { blobsOf, indexOf, linesOf } from './support/layout-tools.ts';
import { describeWith } from './support/tools.ts';

const needs = ['zstd', 'tar'] as const;

/**
 * Expects of another tool's layout what ours do: its names have these digests, all content exists and is right, nothing is
 * garbage, and a name of ours can be added and removed without a trace.
 */
async function expectSound(layout: string, names: Readonly<Record<string, string>>): Promise<void> {
  const store = layoutStore(layout);
  expect(await store.tags()).toEqual(Object.keys(names).sort());
  for (const [name, digest] of Object.entries(names)) {
    const copied = await copy(store, memoryStore(), name, { platform: 'all', name: 'copied' });
    expect([name, copied.descriptor.digest]).toEqual([name, digest]);
  }
  const blobs = await blobsOf(layout);
  expect(await store.verify()).toMatchObject({ checked: blobs.length, wrong: [], missing: [], strangers: [] });
  expect(await store.gc()).toEqual({ removed: [], partials: 0, bytes: 0 });
  const before = await indexOf(layout);
  const [name = ''] = Object.keys(names);
  await store.tag(await store.resolve(name), 'our-own');
  expect((await indexOf(layout)).manifests).toEqual(expect.arrayContaining([...before.manifests]));
  await store.untag('our-own');
  expect(await indexOf(layout)).toEqual(before);
  expect(await blobsOf(layout)).toEqual(blobs);
}

describeWith(['skopeo', ...needs], 'what skopeo wrote', () => {
  const setting = layoutSetting();
  const copying = ['copy', '--quiet', '--preserve-digests', '--dest-oci-accept-uncompressed-layers'];
  // What skopeo can copy.
  const names = ['gzip', 'zstd', 'mixed', 'platforms', 'platforms-gzip', 'artifact'] as const;

  test('images of every kind, with all platforms, are read', async () => {
    const { tools, host, samples, path } = setting();
    const layout = path();
    for (const name of names) {
      await tools.skopeo(...copying, '--all', `docker://${host}/team/app:${name}`, `oci:${layout}:${name}`);
    }
    await expectSound(layout, Object.fromEntries(names.map((name) => [name, samples.descriptors[name].digest])));
  });

  test('one platform, and an index with one of its platforms, are read', async () => {
    const { tools, host, samples, pull, path } = setting();
    const [layout, reference] = [path(), `${host}/team/app:platforms`];
    await tools.skopeo(...copying, `docker://${reference}`, `oci:${layout}:one`);
    const { digest } = await layoutStore(await pull('platforms', 'one')).resolve('platforms');
    await expectSound(layout, { one: digest });
    await tools.skopeo(...copying, '--multi-arch', 'index-only', `docker://${reference}`, `oci:${layout}:sparse`);
    const store = layoutStore(layout);
    expect((await store.resolve('sparse')).digest).toBe(samples.descriptors.platforms.digest);
    const copied = await copy(store, memoryStore(), 'sparse', { platform: 'linux/amd64' });
    expect(copied.descriptor.digest).toBe(digest);
    expect(await store.verify()).toMatchObject({ wrong: [], missing: [], notCopied: [{}, {}] });
    expect((await store.gc()).removed).toEqual([]);
  });

  test('an image without a name is "latest"', async () => {
    const { tools, host, samples, path } = setting();
    const layout = path();
    await tools.skopeo(...copying, `docker://${host}/team/app:gzip`, `oci:${layout}`);
    const { digest } = samples.descriptors.gzip;
    expect(await layoutStore(layout).tags()).toEqual([]);
    expect((await layoutStore(layout).resolve('latest')).digest).toBe(digest);
    expect((await layoutStore(layout).gc()).removed).toEqual([]);
  });
});

describeWith(['umoci', 'skopeo', ...needs], 'what umoci wrote', () => {
  const setting = layoutSetting();

  test('a new image, one with other settings, and one with another layer are read', async () => {
    const { tools, pull, path } = setting();
    const [layout, bundle] = [path(), path()];
    await tools.umoci('init', '--layout', layout);
    expect(await layoutStore(layout).tags()).toEqual([]);
    await tools.umoci('new', '--image', `${layout}:new`);
    await tools.umoci('config', '--image', `${layout}:new`, '--tag', 'settings', '--config.cmd', '/bin/sh');
    await pull('gzip', 'all', layout);
    await tools.umoci('unpack', '--rootless', '--image', `${layout}:gzip`, bundle);
    await writeFile(join(bundle, 'rootfs', 'added'), 'more');
    await tools.umoci('repack', '--image', `${layout}:repacked`, bundle);
    await tools.umoci('tag', '--image', `${layout}:repacked`, 'again');
    const index = (await indexOf(layout)).manifests as { digest: string; annotations: Record<string, string> }[];
    const names = index.map(({ digest, annotations }) => [annotations['org.opencontainers.image.ref.name'], digest]);
    expect(names.map(([name]) => name).sort()).toEqual(['again', 'gzip', 'new', 'repacked', 'settings']);
    await expectSound(layout, Object.fromEntries(names));
  });

  test('our garbage collection removes what its own removes, and no more', async () => {
    const { tools, pull, path } = setting();
    const layout = path();
    await pull('gzip', 'all', layout);
    await pull('platforms-gzip', 'all', layout);
    await pull('artifact', 'all', layout);
    await tools.umoci('config', '--image', `${layout}:gzip`, '--config.cmd', '/bin/sh');
    await tools.umoci('rm', '--image', `${layout}:artifact`);
    const copied = path();
    await cp(layout, copied, { recursive: true });
    await tools.umoci('gc', '--layout', copied);
    expect(await blobsOf(copied)).not.toEqual(await blobsOf(layout));
    expect((await layoutStore(layout).gc()).removed.length).toBeGreaterThan(2);
    expect(await blobsOf(layout)).toEqual(await blobsOf(copied));
  });
});

describeWith(['crane', ...needs], 'what crane wrote', () => {
  const setting = layoutSetting();
  // It uses sha256 digests for manifests and configs, whatever digest they had.
  const strange: readonly SampleName[] = ['sha512', 'sha512-manifest'];
  const names = sampleNames.filter((name) => !strange.includes(name));

  test('images of every kind are read under their full names', async () => {
    const { tools, host, samples, path } = setting();
    const layout = path();
    const digests: Record<string, string> = {};
    for (const name of names) {
      const reference = `${host}/team/app:${name}`;
      digests[reference] = samples.descriptors[name].digest;
      await tools.crane('pull', '--format=oci', '--annotate-ref', reference, layout);
    }
    await expectSound(layout, digests);
  });

  test.each(names)('%s: an image without a name is "latest", until it has one', async (name) => {
    const { tools, host, samples, path } = setting();
    const [layout, reference, { digest }] = [path(), `${host}/team/app:${name}`, samples.descriptors[name]];
    await tools.crane('pull', '--format=oci', reference, layout);
    const store = layoutStore(layout);
    expect(await store.tags()).toEqual([]);
    const copied = await copy(store, memoryStore(), 'latest', { platform: 'all' });
    expect(copied.descriptor.digest).toBe(digest);
    expect(await store.verify()).toMatchObject({ wrong: [], missing: [] });
    expect((await store.gc()).removed).toEqual([]);
    await store.tag(await store.resolve('latest'), 'named');
    expect((await store.resolve('named')).digest).toBe(digest);
  });

  test.each(strange)('%s: crane 0.22 writes the config with another digest, and verify reports that', async (name) => {
    const { tools, host, samples, path } = setting();
    const layout = path();
    await tools.crane('pull', '--format=oci', `${host}/team/app:${name}`, layout);
    // One document, whatever digest it was requested by.
    const { digest } = samples.descriptors.sha512;
    expect((await layoutStore(layout).resolve('latest')).digest).toBe(digest);
    const report = await layoutStore(layout).verify();
    expect(report).toMatchObject({ wrong: [], missing: [{ neededBy: digest }] });
    expect(report.missing[0]?.digest).toMatch(/^sha512:/);
  });
});

describeWith(['regctl', ...needs], 'what regctl wrote', () => {
  const setting = layoutSetting();

  test('images of every kind, and lists of referrers, are read', async () => {
    const { tools, host, samples, path } = setting();
    const layout = path();
    const digests: Record<string, string> = {};
    for (const name of sampleNames) {
      digests[name] = samples.descriptors[name].digest;
      const [from, to] = [`${host}/team/app:${name}`, `ocidir://${layout}:${name}`];
      await tools.regctl('image', 'copy', '--referrers', from, to);
    }
    const store = layoutStore(layout);
    const { gzip, artifact } = samples.descriptors;
    const list = gzip.digest.replace(':', '-');
    await expectSound(layout, { ...digests, [list]: (await store.resolve(list)).digest });
    const referrers = await store.referrers(gzip.digest);
    expect(referrers.map(({ digest, artifactType }) => ({ digest, artifactType }))).toEqual([
      { digest: artifact.digest, artifactType: 'application/vnd.example.sbom' },
    ]);
    // Without its name, the artifact is still needed by the list.
    await store.untag('artifact');
    expect((await store.gc()).removed).toEqual([]);
    expect((await store.referrers(gzip.digest)).map(({ digest }) => digest)).toEqual([artifact.digest]);
  });
});

describeWith(['oras-layout', ...needs], 'what oras wrote', () => {
  const setting = layoutSetting();

  test('images of every kind, with entries for their platforms, are read', async () => {
    const { tools, host, samples, path } = setting();
    const layout = path();
    const digests: Record<string, string> = {};
    for (const name of sampleNames) {
      digests[name] = samples.descriptors[name].digest;
      expect(linesOf(await tools.orasLayout('pull', `${host}/team/app:${name}`, layout))).toEqual([digests[name]]);
    }
    await expectSound(layout, digests);
    const { gzip, artifact } = samples.descriptors;
    const referrers = await layoutStore(layout).referrers(gzip.digest);
    expect(referrers.map(({ digest }) => digest)).toEqual([artifact.digest]);
  });

  test('our garbage collection removes what its own removes', async () => {
    const { tools, path, pull } = setting();
    const layout = path();
    for (const name of ['gzip', 'platforms', 'sha512'] as const) await pull(name, 'all', layout);
    await layoutStore(layout).untag('gzip');
    const copied = path();
    await cp(layout, copied, { recursive: true });
    await tools.orasLayout('gc', copied);
    expect((await layoutStore(layout).gc()).removed.length).toBeGreaterThan(0);
    expect(await blobsOf(copied)).toEqual(await blobsOf(layout));
    expect(await layoutStore(copied).verify()).toMatchObject({ wrong: [], missing: [] });
  });
});

/** A directory in which ocifetch and others write in turn: after each turn, all names still have their digests. */
async function inTurns(
  layout: string,
  turns: readonly (readonly [name: string, digest: string, turn: () => Promise<unknown>])[],
) {
  const names: Record<string, string> = {};
  for (const [name, digest, turn] of turns) {
    await turn();
    names[name] = digest;
    const store = layoutStore(layout);
    expect(await store.tags()).toEqual(Object.keys(names).sort());
    for (const [each, expected] of Object.entries(names)) {
      expect([each, (await store.resolve(each)).digest]).toEqual([each, expected]);
    }
    expect(await store.verify()).toMatchObject({ wrong: [], missing: [], partials: 0 });
    expect((await store.gc()).removed).toEqual([]);
  }
}

describeWith(['skopeo', 'umoci', ...needs], 'one directory, written in turn with Debian programs', () => {
  const setting = layoutSetting();

  test.each(['skopeo', 'ocifetch'] as const)('nothing is lost if %s begins', async (first) => {
    const { tools, host, samples, client, path } = setting();
    const layout = path();
    const { gzip, zstd, platforms, mixed, artifact } = samples.descriptors;
    const add = (name: string) => () =>
      tools.skopeo(
        'copy',
        '--quiet',
        '--all',
        '--preserve-digests',
        '--dest-oci-accept-uncompressed-layers',
        `docker://${host}/team/app:${name}`,
        `oci:${layout}:${name}`,
      );
    const pull = (name: string) => () => client.pull(`${host}/team/app:${name}`, { to: layout, platform: 'all' });
    const [one, other] = first === 'skopeo' ? [add, pull] : [pull, add];
    await inTurns(layout, [
      ['gzip', gzip.digest, one('gzip')],
      ['zstd', zstd.digest, other('zstd')],
      ['platforms', platforms.digest, one('platforms')],
      ['tagged', gzip.digest, () => tools.umoci('tag', '--image', `${layout}:gzip`, 'tagged')],
      ['artifact', artifact.digest, other('artifact')],
      ['mixed', mixed.digest, one('mixed')],
      // A name that moves and moves back.
      ['gzip', zstd.digest, async () => layoutStore(layout).tag(await layoutStore(layout).resolve('zstd'), 'gzip')],
      ['gzip', gzip.digest, other('gzip')],
    ]);
    expect(linesOf(await tools.umoci('ls', '--layout', layout)).sort()).toEqual(await layoutStore(layout).tags());
    await tools.umoci('gc', '--layout', layout);
    expect(await layoutStore(layout).verify()).toMatchObject({ wrong: [], missing: [] });
  });

  test('what others wrote into index.json is not changed', async () => {
    const { samples, pull } = setting();
    const layout = await pull('gzip');
    const path = join(layout, 'index.json');
    const index = JSON.parse(await readFile(path, 'utf8'));
    const [entry] = index.manifests;
    const other = {
      ...entry,
      annotations: { 'io.containerd.image.name': 'docker.io/library/app:1', 'org.opencontainers.image.ref.name': '1' },
      'org.example.field': [1],
    };
    await writeFile(path, JSON.stringify({ ...index, manifests: [other, entry], 'org.example.more': { a: 1 } }));
    await pull('artifact', 'all', layout);
    const now = JSON.parse(await readFile(path, 'utf8'));
    expect(now).toMatchObject({ ...index, manifests: [other, entry, {}], 'org.example.more': { a: 1 } });
    expect((await layoutStore(layout).resolve('docker.io/library/app:1')).digest).toBe(samples.descriptors.gzip.digest);
  });
});

describeWith(
  ['regctl', 'crane', 'oras-layout', ...needs],
  'one directory, written in turns with programs of Go',
  () => {
    const setting = layoutSetting();

    test('nothing is lost', async () => {
      const { tools, host, samples, client, path } = setting();
      const layout = path();
      const { gzip, zstd, platforms, mixed, sha512, nested } = samples.descriptors;
      const from = `${host}/team/app`;
      await inTurns(layout, [
        ['gzip', gzip.digest, () => client.pull(`${from}:gzip`, { to: layout })],
        ['zstd', zstd.digest, () => tools.regctl('image', 'copy', `${from}:zstd`, `ocidir://${layout}:zstd`)],
        ['sha512', sha512.digest, () => client.pull(`${from}:sha512`, { to: layout })],
        [
          `${from}:mixed`,
          mixed.digest,
          () => tools.crane('pull', '--format=oci', '--annotate-ref', `${from}:mixed`, layout),
        ],
        ['platforms', platforms.digest, () => tools.orasLayout('pull', `${from}:platforms`, layout)],
        ['nested', nested.digest, () => client.pull(`${from}:nested`, { to: layout, platform: 'all' })],
        ['moved', gzip.digest, () => tools.regctl('image', 'copy', `${from}:gzip`, `ocidir://${layout}:moved`)],
      ]);
    });

    test('referrers without a name survive the garbage collection of regctl and of oras', async () => {
      const { tools, host, client, samples, pull } = setting();
      const layout = await pull('gzip');
      const { gzip, artifact } = samples.descriptors;
      await client.pull(`${host}/team/app@${artifact.digest}`, { to: layout });
      await tools.regctl('image', 'copy', `${host}/team/app:zstd`, `ocidir://${layout}:zstd`);
      await tools.orasLayout('gc', layout);
      const store = layoutStore(layout);
      expect(await store.tags()).toEqual(['gzip', 'zstd']);
      expect((await store.referrers(gzip.digest)).map(({ digest }) => digest)).toEqual([artifact.digest]);
      expect(await store.verify()).toMatchObject({ wrong: [], missing: [] });
    });
  },
);
