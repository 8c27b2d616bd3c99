import { expect, test } from 'vitest';
import { copy } from '../../src/copy/copy.ts';
import type { PlatformChoice } from '../../src/copy/options.ts';
import { mediaTypes } from '../../src/oci/manifest.ts';
import { formatPlatform, machinePlatform, parsePlatform } from '../../src/oci/platform.ts';

import { memoryStore } from '../../src/store/memory.ts';
import { failsWith, type Sample, sampleOf } from '../contract/source.ts';
import { errorOf, text } from '../support/hosts.ts';
import { attestation, type Built, digestsOf, entry, filled, heldBy, image, index, watched } from './support.ts';

const of = (platform: string): Built => entry(image(platform, { platform }), { on: platform });
const [amd64, armv6, armv7, arm64] = [of('linux/amd64'), of('linux/arm/v6'), of('linux/arm/v7'), of('linux/arm64')];
const provenance = attestation('provenance');
const app = index(amd64, provenance, armv6, armv7, arm64);

/** What is in the store afterwards, and what was asked for. */
async function copied(built: Built, platform?: PlatformChoice) {
  const { source, fetched } = watched(await filled(built));
  const to = memoryStore();
  const result = await copy(source, to, 'latest', { platform });
  return { ...result, fetched, held: await heldBy(to, built.parts), named: await to.resolve('latest') };
}

const cases: readonly [platform: string, built: Built][] = [
  ['linux/amd64', amd64],
  ['linux/amd64/v3', amd64],
  ['linux/arm/v7', armv7],
  ['linux/arm/v6', armv6],
  ['linux/arm64', arm64],
  ['linux/arm/v8', armv7],
];
test.each(cases)('for %s the image that runs best is copied alone, and gets the name', async (platform, chosen) => {
  const { descriptor, resolved, held, named, fetched } = await copied(app, platform);
  expect(descriptor).toEqual(chosen.root.descriptor);
  expect(resolved).toEqual(app.root.descriptor);
  expect(named.digest).toBe(chosen.root.descriptor.digest);
  expect(held).toEqual(digestsOf(chosen.parts));
  expect([...fetched].sort()).toEqual([...held, app.root.descriptor.digest].sort());
});

test('without a word it is the image for this machine', async () => {
  const platform = formatPlatform(machinePlatform());
  const own = entry(image('own', { platform }), { on: platform });
  const other = entry(image('other', { platform: 'plan9/mips' }), { on: 'plan9/mips' });
  expect((await copied(index(other, own))).descriptor.digest).toBe(own.root.descriptor.digest);
});

test('for several platforms the index is kept as it is, with only their images', async () => {
  const { descriptor, held, named } = await copied(app, ['linux/amd64', parsePlatform('linux/arm64')]);
  expect(descriptor).toEqual(app.root.descriptor);
  expect(named.digest).toBe(app.root.descriptor.digest);
  expect(held).toEqual(digestsOf([...amd64.parts, ...arm64.parts, app.root]));
});

test('all is all, attestations too', async () => {
  expect((await copied(app, 'all')).held).toEqual(digestsOf(app.parts));
});

test('a list of one platform is that platform', async () => {
  expect((await copied(app, ['linux/arm64'])).descriptor).toEqual(arm64.root.descriptor);
});

test('if none fits, the error lists what there is, and nothing is copied', async () => {
  const { source, fetched } = watched(await filled(app));
  const to = memoryStore();
  const error = await errorOf(copy(source, to, 'latest', { platform: 'linux/riscv64' }));
  expect(error.code).toBe('NOT_FOUND');
  expect(error.message).toBe(
    'Cannot choose an image of "latest" for linux/riscv64: there are linux/amd64, linux/arm/v6, linux/arm/v7, linux/arm64; choose one with platform',
  );
  expect(fetched).toEqual([app.root.descriptor.digest]);
  expect(await heldBy(to, app.parts)).toEqual([]);
  const several = copy(source, to, 'latest', { platform: ['linux/amd64', 'linux/riscv64'] });
  await expect(several).rejects.toThrow('for linux/riscv64');
});

test('images are found in indexes of indexes', async () => {
  const inner = index(arm64, armv7);
  const built = index(amd64, entry(inner), entry(index(entry(index(of('linux/s390x'))))));
  const { descriptor, held } = await copied(built, 'linux/arm64');
  expect(descriptor).toEqual(arm64.root.descriptor);
  expect(held).toEqual(digestsOf(arm64.parts));
  expect((await copied(built, 'linux/s390x')).descriptor.platform).toEqual(parsePlatform('linux/s390x'));
  const both = await copied(built, ['linux/amd64', 'linux/arm64']);
  expect(both.held).toEqual(digestsOf([...amd64.parts, ...arm64.parts, inner.root, built.root]));
});

test('an index for a platform is chosen from again', async () => {
  const variants = index(armv6, armv7);
  const built = index(amd64, entry(variants, { platform: { os: 'linux', architecture: 'arm' } }));
  expect((await copied(built, 'linux/arm/v7')).descriptor).toEqual(armv7.root.descriptor);
  expect((await copied(built, ['linux/arm/v7', 'linux/amd64'])).held).toEqual(digestsOf(built.parts));
});

test('indexes for a platform, each in the other, are looked into sixteen deep', async () => {
  let built = index(armv7);
  for (let level = 1; level < 16; level++) built = index(entry(built, { on: 'linux/arm/v7' }));
  expect((await copied(built, 'linux/arm/v7')).descriptor).toEqual(armv7.root.descriptor);
  const deeper = copied(index(entry(built, { on: 'linux/arm/v7' })), 'linux/arm/v7');
  await expect(deeper).rejects.toEqual(failsWith('BAD_RESPONSE'));
});

const plain = entry(image('plain'));

test('an index of one image that does not say what it is for is copied whole', async () => {
  const built = index(plain, provenance);
  const { descriptor, held } = await copied(built);
  expect(descriptor).toEqual(built.root.descriptor);
  expect(held).toEqual(digestsOf(built.parts));
});

test('if a platform is requested, that image is taken, unless its config has another', async () => {
  const built = index(plain, plain, entry(index(plain)), provenance);
  const { descriptor, held } = await copied(built, 'linux/amd64');
  expect(descriptor).toEqual(plain.root.descriptor);
  expect(held).toEqual(digestsOf(plain.parts));
  const several = await copied(built, ['linux/s390x', 'linux/amd64']);
  expect(several.descriptor).toEqual(built.root.descriptor);
  expect(several.held).toEqual(digestsOf(built.parts));
  for (const platform of ['linux/riscv64', ['linux/riscv64', 'linux/s390x']]) {
    await expect(copied(built, platform)).rejects.toThrow(
      '"latest" for linux/riscv64: it is one image, for linux/amd64',
    );
  }
});

const chart = (name: string): Built =>
  image(name, { config: sampleOf(text(`{"name":"${name}"}`), 'application/vnd.cncf.helm.config.v1+json') });

test('an index without platforms is copied whole; it has nothing for a requested platform', async () => {
  const built = index(chart('a'), chart('b'), index(chart('c')));
  for (const platform of [undefined, 'all'] as const) {
    const { descriptor, held } = await copied(built, platform);
    expect(descriptor).toEqual(built.root.descriptor);
    expect(held).toEqual(digestsOf(built.parts));
  }
  const { source, fetched } = watched(await filled(built));
  const inner = built.parts.find(({ bytes }) => new TextDecoder().decode(bytes).includes('"manifests"'));
  for (const platform of ['linux/riscv64', ['linux/riscv64', 'linux/amd64']]) {
    const error = await errorOf(copy(source, memoryStore(), 'latest', { platform }));
    expect(error.code).toBe('NOT_FOUND');
    expect(error.message).toBe('Cannot choose an image of "latest" for linux/riscv64: there is none');
  }
  expect(digestsOf([built.root, inner ?? built.root])).toEqual([...new Set(fetched)].sort());
  await expect(copied(index(), 'linux/amd64')).rejects.toEqual(failsWith('NOT_FOUND'));
});

test('an index that is listed under the platform is what was requested, whatever is in it', async () => {
  const charts = index(chart('a'), chart('b'));
  const { descriptor, held } = await copied(index(amd64, entry(charts, { on: 'linux/s390x' })), 'linux/s390x');
  expect(descriptor.digest).toBe(charts.root.descriptor.digest);
  expect(held).toEqual(digestsOf(charts.parts));
});

test('an image that is named directly is checked if a platform is requested, before its layers', async () => {
  const built = image('app', { platform: 'linux/arm/v7' });
  const { source, fetched } = watched(await filled(built));
  const error = await errorOf(copy(source, memoryStore(), 'latest', { platform: 'linux/amd64' }));
  expect(error.code).toBe('NOT_FOUND');
  expect(error.message).toContain('"latest" for linux/amd64: it is one image, for linux/arm/v7');
  expect(fetched).toHaveLength(2);
  for (const platform of ['linux/arm/v7', 'linux/arm/v8', ['linux/amd64', 'linux/arm64'], undefined, 'all'] as const) {
    const { held, fetched: asked } = await copied(built, platform);
    expect(held).toEqual(digestsOf(built.parts));
    expect(asked).toHaveLength(built.parts.length);
  }
});

const odd: readonly [title: string, config: Sample][] = [
  ['an artifact', sampleOf(text('{"os":"plan9","architecture":"mips"}'), 'application/vnd.example+json')],
  ['an image that does not say what it runs on', sampleOf(text('{"created":"x"}'), mediaTypes.ociConfig)],
];
test.each(odd)('%s has any platform', async (_title, config) => {
  const built = image('odd', { config });
  expect((await copied(built, 'linux/amd64')).held).toEqual(digestsOf(built.parts));
});

test('a config that is not JSON cannot be checked', async () => {
  const built = image('app', { config: sampleOf(text('no'), mediaTypes.dockerConfig) });
  const copying = copy(await filled(built), memoryStore(), 'latest', { platform: 'linux/amd64' });
  await expect(copying).rejects.toEqual(failsWith('BAD_RESPONSE'));
});

test.each([['nonsense/'], [[]], [['linux/amd64', 3]], [{ os: 'linux' }], [7], [null]])(
  '%j is no choice of platforms',
  async (platform) => {
    const copying = copy(await filled(app), memoryStore(), 'latest', { platform: platform as PlatformChoice });
    await expect(copying).rejects.toEqual(failsWith('INVALID_REFERENCE'));
  },
);
