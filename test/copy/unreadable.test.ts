import { expect, test } from 'vitest';
import { copy } from '../../src/copy/copy.ts';
import { mediaTypes } from '../../src/oci/manifest.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { type Sample, sampleOf } from '../contract/source.ts';
import { errorOf, text } from '../support/hosts.ts';
import { type Built, digestsOf, entry, filled, heldBy, image, index, layer } from './support.ts';

const [amd64, arm64] = ['linux/amd64', 'linux/arm64'].map((on) => entry(image(on, { platform: on }), { on }));
const bad = entry(image('bad'), { on: 'linux/s390x', digest: 'sha256:bad' });
const foreign = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';

/** An image with a layer that says something else of itself. */
const withLayer = (change: object): Built => {
  const odd = layer('odd');
  const changed = { ...odd, descriptor: { ...odd.descriptor, ...change } };
  const { root, parts } = image('odd', { layers: [layer('plain'), changed] });
  return { root, parts: parts.filter((part) => part !== changed) };
};

test('a bad entry of an index does not matter to the other platforms', async () => {
  const built = index(amd64 as Built, bad, arm64 as Built);
  const to = memoryStore();
  const { descriptor } = await copy(await filled(built), to, 'latest', { platform: 'linux/arm64' });
  expect(descriptor.digest).toBe(arm64?.root.descriptor.digest);
  const several = await copy(await filled(built), to, 'latest', { platform: ['linux/amd64', 'linux/arm64'] });
  expect(several.descriptor).toEqual(built.root.descriptor);
});

test.each(['linux/s390x', 'all'] as const)(
  'a bad entry of an index is reported when %s is wanted',
  async (platform) => {
    const copying = copy(await filled(index(amd64 as Built, bad)), memoryStore(), 'latest', { platform });
    const error = await errorOf(copying);
    expect(error).toMatchObject({ code: 'BAD_RESPONSE', reason: 'invalid-document' });
    expect(error.message).toContain('field "manifests[1].digest" is "sha256:bad"');
  },
);

test('a foreign layer that cannot be read does not matter, unless it is wanted', async () => {
  const built = withLayer({ mediaType: foreign, size: -1 });
  const to = memoryStore();
  const { skipped } = await copy(await filled(built), to, 'latest');
  expect(skipped).toEqual([]);
  expect(await heldBy(to, built.parts)).toEqual(digestsOf(built.parts));
  const error = await errorOf(copy(await filled(built), memoryStore(), 'latest', { nonDistributable: true }));
  expect(error.message).toContain('field "layers[1].size" is "-1"');
});

test('a layer that cannot be read is reported by a copy', async () => {
  const error = await errorOf(copy(await filled(withLayer({ digest: 'md5:0' })), memoryStore(), 'latest'));
  expect(error).toMatchObject({ code: 'BAD_RESPONSE', reason: 'invalid-document' });
  expect(error.message).toContain('field "layers[1].digest" is "md5:0": unknown algorithm');
});

const configOf = (config: object): Sample => sampleOf(text(JSON.stringify(config)), mediaTypes.ociConfig);

test.each([
  [{ os: 'linux', architecture: '' }, 'linux/arm64'],
  [{ os: 'linux', architecture: null, variant: null }, 'linux/amd64'],
  [{ os: null, architecture: 'arm64', 'os.features': null }, 'linux/arm64'],
  [{ os: '', architecture: '' }, 'linux/arm64'],
])('a config %j is compared by what it says with %s', async (config, platform) => {
  const built = image('config', { config: configOf(config) });
  const { descriptor } = await copy(await filled(built), memoryStore(), 'latest', { platform });
  expect(descriptor).toEqual(built.root.descriptor);
});

test.each([
  [{ os: 'linux', architecture: '' }, 'windows/amd64', 'linux/unknown'],
  [{ os: '', architecture: 'arm64' }, 'linux/amd64', 'unknown/arm64'],
])('a config %j is not for %s', async (config, platform, named) => {
  const built = image('config', { config: configOf(config) });
  const error = await errorOf(copy(await filled(built), memoryStore(), 'latest', { platform }));
  expect(error).toMatchObject({ code: 'NOT_FOUND', reason: 'platform', platforms: [named] });
});
