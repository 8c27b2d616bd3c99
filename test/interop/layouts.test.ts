import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { copy, layoutStore, memoryStore } from 'ocifetch';
import { expect, test } from 'vitest';
import { type SampleName, sampleNames } from './support/layout-samples.ts';
import { layoutSetting } from './support/layout-setting.ts';
import { blobsOf, filesOf, linesOf } from './support/layout-tools.ts';
import { describeWith } from './support/tools.ts';

const whole = sampleNames.map((name) => [name, 'all'] as const);
const chosen = [
  ['platforms', 'one'],
  ['platforms-gzip', 'one'],
  ['nested', 'one'],
] as const;
const sparse = [['platforms'], ['platforms-gzip'], ['nested']] as const;
const needs = ['zstd', 'tar'] as const;

describeWith(['skopeo', ...needs], 'skopeo reads our layouts', () => {
  const setting = layoutSetting();
  const strange: readonly SampleName[] = ['nested', 'sha512-layers', 'sha512', 'sha512-manifest'];

  test.each([...whole, ...chosen].filter(([name, choice]) => choice === 'one' || !strange.includes(name)))(
    '%s, %s: every content is copied, byte for byte',
    async (name, choice) => {
      const { tools, pull, path } = setting();
      const [layout, target] = [await pull(name, choice), path()];
      const copying = ['copy', '--quiet', '--all', '--preserve-digests', '--dest-oci-accept-uncompressed-layers'];
      await tools.skopeo(...copying, `oci:${layout}:${name}`, `oci:${target}:${name}`);
      expect(await blobsOf(target)).toEqual(await blobsOf(layout));
      await tools.skopeo(...copying, `oci:${layout}`, `oci:${target}:unnamed`);
      const archive = `${target}.tar`;
      await tools.skopeo(...copying, `oci:${layout}:${name}`, `oci-archive:${archive}:${name}`);
      const { digest } = await layoutStore(layout).resolve(name);
      expect(linesOf(await tools.skopeo('inspect', '--raw', `oci-archive:${archive}:${name}`)).join('\n')).toBe(
        await readFile(join(layout, 'blobs', digest.replace(':', '/')), 'utf8'),
      );
    },
  );

  test.each(whole)('%s: its manifest is read', async (name) => {
    const { tools, samples, pull } = setting();
    const { digest } = samples.descriptors[name];
    const layout = await pull(name);
    const raw = await tools.skopeo('inspect', '--raw', `oci:${layout}:${name}`);
    expect(raw).toBe(await readFile(join(layout, 'blobs', digest.replace(':', '/')), 'utf8'));
  });

  test.each(['platforms', 'platforms-gzip'] as const)(
    '%s with two of its three platforms: one that exists is copied; a copy of all fails and names the third',
    async (name) => {
      const { tools, pull, path } = setting();
      const [layout, target] = [await pull(name, 'two'), path()];
      await tools.skopeo('copy', '--quiet', '--preserve-digests', `oci:${layout}:${name}`, `oci:${target}:${name}`);
      expect(await blobsOf(target)).toEqual(await blobsOf(await pull(name, 'one')));
      const all = tools.skopeo('copy', '--quiet', '--all', `oci:${layout}:${name}`, `oci:${path()}`);
      await expect(all).rejects.toThrow(/copying image 3\/3 .*: no such file or directory/);
    },
  );

  test('a name that is a full reference is read', async () => {
    const { tools, client, host, samples, path } = setting();
    const [reference, layout] = [`${host}/team/app:gzip`, path()];
    await client.pull(reference, { to: layout, name: reference });
    const inspected = JSON.parse(await tools.skopeo('inspect', `oci:${layout}:${reference}`));
    expect(inspected.Digest).toBe(samples.descriptors.gzip.digest);
  });

  // Its own limits: it does not copy nested indexes, and supports only sha256.
  test.each([
    ['nested', 'Unexpectedly received a manifest list'],
    ['sha512-layers', 'blob with digest sha512:'],
    ['sha512', 'blob with digest sha512:'],
    ['sha512-manifest', 'blob with digest sha512:'],
  ] as const)('%s: skopeo 1.9 copies no such image from anywhere, neither from the registry', async (name, message) => {
    const { tools, host, pull, path } = setting();
    for (const from of [`oci:${await pull(name)}:${name}`, `docker://${host}/team/app:${name}`]) {
      await expect(tools.skopeo('copy', '--quiet', '--all', from, `oci:${path()}`)).rejects.toThrow(message);
    }
  });
});

describeWith(['umoci', ...needs], 'umoci reads our layouts', () => {
  const setting = layoutSetting();
  const gzip = [
    ['gzip', 'all', 'opt/large'],
    ['gzip', 'one', 'opt/large'],
    ['platforms-gzip', 'one', 'etc/arch'],
  ] as const;

  test.each(gzip)('%s, %s: its name, its history and its files are read', async (name, choice, file) => {
    const { tools, pull, path } = setting();
    const [layout, bundle] = [await pull(name, choice), path()];
    expect(linesOf(await tools.umoci('ls', '--layout', layout))).toEqual([name]);
    expect(JSON.parse(await tools.umoci('stat', '--json', '--image', `${layout}:${name}`))).toHaveProperty('history');
    await tools.umoci('unpack', '--rootless', '--image', `${layout}:${name}`, bundle);
    const files = await filesOf(join(bundle, 'rootfs'));
    expect(Object.keys(files).sort()).toEqual(['etc/motd', 'usr/share/empty', file].sort());
  });

  test('all names of one layout are read, also those with a slash and a colon', async () => {
    const { tools, client, host, pull, path } = setting();
    const layout = path();
    for (const name of sampleNames) await pull(name, 'all', layout);
    const reference = `${host}/team/app:gzip`;
    await client.pull(reference, { to: layout, name: reference });
    expect(linesOf(await tools.umoci('ls', '--layout', layout)).sort()).toEqual([...sampleNames, reference].sort());
  });

  // Its own limits: it does not support zstd or sha512, accepts one manifest for a name, and unpacks only images.
  test.each([
    ['zstd', 'all', 'blob is not correct mediatype: application/vnd.oci.image.layer.v1.tar+zstd'],
    ['mixed', 'all', 'blob is not correct mediatype: application/vnd.oci.image.layer.v1.tar+zstd'],
    ['platforms', 'one', 'blob is not correct mediatype: application/vnd.oci.image.layer.v1.tar+zstd'],
    ['nested', 'one', 'blob is not correct mediatype: application/vnd.oci.image.layer.v1.tar+zstd'],
    ['platforms-gzip', 'all', 'tag is ambiguous'],
    ['platforms-gzip', 'two', 'tag is ambiguous'],
    ['nested', 'all', 'tag is ambiguous'],
    ['artifact', 'all', 'config blob is not correct mediatype'],
    ['sha512-layers', 'all', 'unsupported algorithm: "sha512"'],
    ['sha512', 'all', 'unsupported algorithm: "sha512"'],
    ['sha512-manifest', 'all', 'unsupported algorithm: "sha512"'],
  ] as const)('%s, %s: umoci 0.4 knows its name, but unpacks no such image', async (name, choice, message) => {
    const { tools, pull, path } = setting();
    const layout = await pull(name, choice);
    expect(linesOf(await tools.umoci('ls', '--layout', layout))).toEqual([name]);
    const unpacking = tools.umoci('unpack', '--rootless', '--image', `${layout}:${name}`, path());
    await expect(unpacking).rejects.toThrow(message);
  });
});

describeWith(['crane', ...needs], 'crane reads our layouts', () => {
  const setting = layoutSetting();
  const strange: readonly SampleName[] = ['sha512', 'sha512-manifest'];

  test.each([...whole, ...chosen].filter(([name]) => !strange.includes(name)))(
    '%s, %s: it is pushed completely, under the same digest',
    async (name, choice) => {
      const { tools, host, pull, store } = setting();
      const layout = await pull(name, choice);
      const repository = `crane/${name}-${choice}`;
      const { digest } = await layoutStore(layout).resolve(name);
      const output = await tools.crane('push', layout, `${host}/${repository}:v1`);
      expect(linesOf(output)).toEqual([`${host}/${repository}@${digest}`]);
      // Every content is verified during the copy, and none may be missing.
      await copy(store(repository), memoryStore(), 'v1', { platform: 'all' });
    },
  );

  test.each([['gzip'], ['platforms-gzip'], ['artifact']] as const)(
    '%s: what it pushed passes its own validation',
    async (name) => {
      const { tools, host, pull } = setting();
      const reference = `${host}/crane/valid-${name}:v1`;
      await tools.crane('push', await pull(name), reference);
      await tools.crane('validate', '--remote', reference);
    },
  );

  test('several images of one layout are pushed as one index', async () => {
    const { tools, host, samples, pull } = setting();
    const layout = await pull('gzip');
    await pull('platforms', 'all', layout);
    await pull('artifact', 'all', layout);
    const reference = `${host}/crane/several:v1`;
    await tools.crane('push', '--index', layout, reference);
    const { manifests } = JSON.parse(await tools.crane('manifest', reference));
    const { gzip, platforms, artifact } = samples.descriptors;
    expect(manifests.map(({ digest }: { digest: string }) => digest)).toEqual(
      [gzip, platforms, artifact].map(({ digest }) => digest),
    );
  });

  test.each(sparse)(
    '%s with two of its three platforms: it pushes only complete indexes, and names what is missing',
    async (name) => {
      const { tools, host, pull } = setting();
      const pushing = tools.crane('push', await pull(name, 'two'), `${host}/crane/sparse-${name}:v1`);
      await expect(pushing).rejects.toThrow(/blobs\/sha256\/[0-9a-f]{64}: no such file or directory/);
    },
  );

  // Its own limit: it reads a config by any digest, but sends it by its sha256, which the manifest does not name.
  test.each(strange)('%s: crane 0.22 reads it, but sends its config with another digest', async (name) => {
    const { tools, host, pull } = setting();
    const layout = await pull(name);
    const pushing = tools.crane('push', layout, `${host}/crane/${name}:v1`);
    await expect(pushing).rejects.toThrow(/MANIFEST_BLOB_UNKNOWN: .* "sha512:/);
  });
});

describeWith(['regctl', ...needs], 'regctl reads our layouts', () => {
  const setting = layoutSetting();

  test.each([...whole, ...chosen].filter(([name]) => name !== 'artifact'))(
    '%s, %s: every content is copied, byte for byte',
    async (name, choice) => {
      const { tools, pull, path } = setting();
      const [layout, target] = [await pull(name, choice), path()];
      const [from, to] = [`ocidir://${layout}:${name}`, `ocidir://${target}:${name}`];
      const { digest } = await layoutStore(layout).resolve(name);
      expect(linesOf(await tools.regctl('image', 'digest', from))).toEqual([digest]);
      expect(linesOf(await tools.regctl('tag', 'ls', `ocidir://${layout}`))).toEqual([name]);
      await tools.regctl('image', 'copy', from, to);
      expect(await blobsOf(target)).toEqual(await blobsOf(layout));
    },
  );

  test('artifact: every content is copied, with a list of the referrers of its subject', async () => {
    const { tools, samples, pull, path } = setting();
    const [layout, target] = [await pull('artifact'), path()];
    await tools.regctl('image', 'copy', `ocidir://${layout}:artifact`, `ocidir://${target}:artifact`);
    const copied = layoutStore(target);
    const { gzip, artifact } = samples.descriptors;
    const list = gzip.digest.replace(':', '-');
    expect(await copied.tags()).toEqual(['artifact', list]);
    const { digest } = await copied.resolve(list);
    expect((await blobsOf(target)).filter((blob) => blob !== digest)).toEqual(await blobsOf(layout));
    expect((await copied.referrers(gzip.digest)).map((referrer) => referrer.digest)).toEqual([artifact.digest]);
  });

  test.each(sparse.slice(0, 2))(
    '%s with two of its three platforms: one that exists is copied; a copy of all fails and names the third',
    async (name) => {
      const { tools, pull, path } = setting();
      const [layout, target] = [await pull(name, 'two'), path()];
      const from = `ocidir://${layout}:${name}`;
      await tools.regctl('image', 'copy', '--platform', 'linux/arm64', from, `ocidir://${target}:v1`);
      expect((await layoutStore(target).resolve('v1')).digest).toBe(
        linesOf(await tools.regctl('manifest', 'head', '--platform', 'linux/arm64', from))[0],
      );
      await expect(tools.regctl('image', 'copy', from, `ocidir://${path()}:v1`)).rejects.toThrow(
        'no such file or directory',
      );
    },
  );
});

describeWith(['oras-layout', ...needs], 'oras reads our layouts', () => {
  const setting = layoutSetting();

  test.each([...whole, ...chosen].filter(([name]) => name !== 'artifact'))(
    '%s, %s: its name and every content are read',
    async (name, choice) => {
      const { tools, pull } = setting();
      const layout = await pull(name, choice);
      expect(linesOf(await tools.orasLayout('tags', layout))).toEqual([name]);
      expect(linesOf(await tools.orasLayout('read', layout, name)).sort()).toEqual(await blobsOf(layout));
    },
  );

  test('artifact: it is copied with its subject, as oras requires both', async () => {
    const { tools, samples, pull } = setting();
    const layout = await pull('artifact');
    const { digest } = samples.descriptors.gzip;
    await expect(tools.orasLayout('read', layout, 'artifact')).rejects.toThrow(`${digest}: application/vnd.oci.image`);
    await pull('gzip', 'all', layout);
    expect(linesOf(await tools.orasLayout('read', layout, 'artifact')).sort()).toEqual(await blobsOf(layout));
    const referrer = `${samples.descriptors.artifact.digest} application/vnd.example.sbom`;
    expect(linesOf(await tools.orasLayout('referrers', layout, 'gzip'))).toEqual([referrer]);
  });

  test.each(sparse)(
    '%s with two of its three platforms: what exists is copied; a copy of all fails and names the third',
    async (name) => {
      const { tools, pull } = setting();
      const layout = await pull(name, 'two');
      await expect(tools.orasLayout('read', layout, name)).rejects.toThrow(/sha256:[0-9a-f]{64}: .*: not found/);
      if (name === 'nested') return;
      const read = linesOf(await tools.orasLayout('read', layout, name, 'linux/amd64'));
      expect(read.sort()).toEqual(await blobsOf(await pull(name, 'one')));
    },
  );

  test('all names of one layout are read', async () => {
    const { tools, client, host, pull, path } = setting();
    const layout = path();
    for (const name of sampleNames) await pull(name, 'all', layout);
    const reference = `${host}/team/app:gzip`;
    await client.pull(reference, { to: layout, name: reference });
    expect(linesOf(await tools.orasLayout('tags', layout)).sort()).toEqual([...sampleNames, reference].sort());
  });
});
