import { expect, test } from 'vitest';
import {
  chooseImage,
  findImage,
  findImages,
  isAttestation,
  noPlatformError,
  platformOf,
  selectPlatform,
} from '../../src/oci/choose-image.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { type Index, mediaTypes } from '../../src/oci/manifest.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { failsWith } from '../contract/source.ts';
import { errorOf } from '../support/hosts.ts';

const digestOf = (name: string) => `sha256:${Buffer.from(name).toString('hex').padEnd(64, '0')}` as const;

const image = (name: string, on?: string, mediaType: string = mediaTypes.ociManifest): Descriptor => ({
  mediaType,
  digest: digestOf(name),
  size: 1,
  ...(on !== undefined && { platform: parsePlatform(on) }),
});
const index = (name: string, on?: string): Descriptor => image(name, on, mediaTypes.ociIndex);

/** Indexes by their names, and the names of those that were read, in order. */
function searching(indexes: Readonly<Record<string, readonly Descriptor[]>>) {
  const names = new Map(Object.keys(indexes).map((name) => [digestOf(name) as string, name]));
  const read: string[] = [];
  const search = {
    label: 'app:1',
    read: async ({ digest }: Descriptor): Promise<Index> => {
      const name = names.get(digest) ?? digest;
      read.push(name);
      return { schemaVersion: 2, manifests: indexes[name] ?? [] };
    },
  };
  const wanted = (on: string) => [index('root'), parsePlatform(on), search] as const;
  return {
    read,
    choose: (on: string) => chooseImage(...wanted(on)),
    find: (on: string) => findImage(...wanted(on)),
    findAll: (...on: string[]) => findImages(index('root'), on.map(parsePlatform), search),
  };
}

test('indexes in an index are read only if it has not enough itself, each once', async () => {
  const tree = {
    root: [index('a'), image('amd64', 'linux/amd64'), index('b'), index('a')],
    a: [index('c'), image('v6', 'linux/arm/v6')],
    b: [index('c'), index('a'), image('v7', 'linux/arm/v7')],
    c: [image('s390x', 'linux/s390x')],
  };
  const first = searching(tree);
  expect((await first.choose('linux/amd64')).digest).toBe(digestOf('amd64'));
  expect(first.read).toEqual(['root']);
  const { read, choose } = searching(tree);
  expect((await choose('linux/s390x')).digest).toBe(digestOf('s390x'));
  expect([...read].sort()).toEqual(['a', 'b', 'c', 'root']);
  expect((await searching(tree).choose('linux/arm/v7')).digest).toBe(digestOf('v7'));
});

test('what is here comes before what is deeper, of those that run equally well', async () => {
  const { choose, read } = searching({
    root: [index('a'), image('riscv64', 'linux/riscv64')],
    a: [index('b'), image('shallow', 'linux/amd64')],
    b: [image('deep', 'linux/amd64')],
  });
  expect((await choose('linux/amd64')).digest).toBe(digestOf('shallow'));
  expect(read).toEqual(['root', 'a', 'b']);
});

test('for several platforms each has its best, and the indexes that lead there', async () => {
  const { findAll } = searching({
    root: [image('amd64', 'linux/amd64'), index('a')],
    a: [index('b')],
    b: [image('arm64', 'linux/arm64')],
  });
  const found = await findAll('linux/arm64', 'linux/amd64');
  expect(found.map(({ descriptor, path }) => [descriptor, ...path].map(({ digest }) => digest))).toEqual([
    ['arm64', 'root', 'a', 'b'].map(digestOf),
    ['amd64', 'root'].map(digestOf),
  ]);
  await expect(findAll('linux/amd64', 'linux/riscv64')).rejects.toEqual(failsWith('NOT_FOUND'));
});

test('an index for a platform is chosen from again, also in an index in the index', async () => {
  const { choose, read } = searching({
    root: [index('nested')],
    nested: [index('variants', 'linux/arm'), image('other', 'linux/amd64')],
    variants: [image('v6', 'linux/arm/v6'), image('v7', 'linux/arm/v7')],
  });
  expect((await choose('linux/arm/v7')).digest).toBe(digestOf('v7'));
  expect(read).toEqual(['root', 'nested', 'variants']);
});

test('an image without a platform is chosen if it is the only one', async () => {
  const attestation = image('att', 'unknown/unknown');
  const only = searching({ root: [attestation, image('plain'), image('plain')] });
  expect((await only.choose('linux/amd64')).digest).toBe(digestOf('plain'));
  expect((await only.find('linux/amd64')).image).toBeUndefined();
  const nested = searching({ root: [index('a'), attestation], a: [image('plain')] });
  expect((await nested.choose('linux/amd64')).digest).toBe(digestOf('plain'));
});

const unfit: readonly [title: string, entries: readonly Descriptor[], found: string][] = [
  ['several of them', [image('a'), image('b')], 'there is none'],
  ['one of them beside an image for another platform', [image('a'), image('b', 'linux/s390x')], 'there is linux/s390x'],
  ['one of them, and another deeper', [image('a'), index('deeper')], 'there is none'],
  ['attestations alone', [image('a', 'unknown/unknown')], 'there is none'],
  ['what is no image', [image('a', undefined, 'application/octet-stream')], 'there is none'],
  ['nothing', [], 'there is none'],
];
test.each(unfit)('of an index with %s none is chosen', async (_, root, found) => {
  const error = await errorOf(searching({ root, deeper: [image('c')] }).choose('linux/amd64'));
  expect(error.code).toBe('NOT_FOUND');
  expect(error.message).toContain(`Cannot choose an image of "app:1" for linux/amd64: ${found}`);
});

test('a circle of indexes ends', async () => {
  const nested = searching({ root: [index('a')], a: [index('b')], b: [index('a'), index('root'), index('b')] });
  await expect(nested.choose('linux/amd64')).rejects.toEqual(failsWith('NOT_FOUND'));
  expect(nested.read).toEqual(['root', 'a', 'b']);
  const again = searching({ root: [index('a', 'linux/amd64')], a: [index('root', 'linux/amd64')] });
  await expect(again.choose('linux/amd64')).rejects.toThrow('nested more than 16 deep');
  expect(again.read).toEqual(['root', 'a']);
});

/** The image is in the last of so many indexes, each in the one before it. */
function nest(count: number, on?: string) {
  const names = ['root', ...Array.from({ length: count - 1 }, (_, depth) => `level ${depth}`)];
  return searching(
    Object.fromEntries(
      names.map((name, depth) => [
        name,
        [depth < count - 1 ? index(`level ${depth}`, on) : image('x', 'linux/arm/v6')],
      ]),
    ),
  );
}

test.each([[undefined], ['linux/arm']])('indexes are looked into sixteen deep (platform %s)', async (on) => {
  expect((await nest(16, on).choose('linux/arm/v7')).digest).toBe(digestOf('x'));
  const deeper = nest(17, on);
  const error = await errorOf(deeper.choose('linux/arm/v7'));
  expect([error.code, error.message]).toEqual(['BAD_RESPONSE', 'Cannot read an index: nested more than 16 deep']);
  expect(deeper.read).toHaveLength(16);
});

const entry = (platform: string | undefined, more: Partial<Descriptor> = {}): Descriptor => ({
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: `sha256:${'0'.repeat(64)}`,
  size: 1,
  ...(platform !== undefined && { platform: parsePlatform(platform) }),
  ...more,
});
const attestation = entry('unknown/unknown', {
  annotations: { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': 'sha256:1' },
});

test('the best of those that run is chosen, the first of equals', () => {
  const [v6, v7, other, equal] = [
    entry('linux/arm/v6'),
    entry('linux/arm/v7'),
    entry('linux/amd64'),
    entry('linux/arm'),
  ];
  const list = [v6, other, v7, equal, attestation, entry(undefined)];
  const chosen = (text: string) => selectPlatform(list, parsePlatform(text));
  expect(chosen('linux/arm')).toBe(v7);
  expect(chosen('linux/arm/v6')).toBe(v6);
  expect(chosen('linux/amd64/v4')).toBe(other);
  expect(chosen('linux/arm/v5')).toBeUndefined();
  expect(chosen('windows/amd64')).toBeUndefined();
});

test('attestations are never chosen, whatever platform they name', () => {
  const named = entry('linux/amd64', { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } });
  expect(isAttestation(named)).toBe(true);
  expect(isAttestation(entry('unknown/unknown'))).toBe(true);
  expect(isAttestation(entry('linux/amd64'))).toBe(false);
  expect(selectPlatform([named, attestation], parsePlatform('linux/amd64'))).toBeUndefined();
  expect(selectPlatform([attestation], parsePlatform('unknown/unknown'))).toBeUndefined();
});

const errorFor = (wanted: string, offered: readonly string[], isImage = false) =>
  noPlatformError('app:1', parsePlatform(wanted), offered.map(parsePlatform), { isImage });

test('the error lists what there is, each once and sorted, and says what to do', () => {
  const error = errorFor('linux/riscv64', ['linux/arm64/v8', 'linux/arm/v7', 'linux/amd64', 'linux/arm64']);
  expect(error.code).toBe('NOT_FOUND');
  const there = 'there are linux/amd64, linux/arm/v7, linux/arm64';
  expect(error.message).toBe(`Cannot choose an image of "app:1" for linux/riscv64: ${there}; choose one with platform`);
});

test('a machine other than Linux gets the advice to choose linux if that is offered', () => {
  expect(errorFor('darwin/arm64', ['linux/arm64']).message).toBe(
    'Cannot choose an image of "app:1" for darwin/arm64: there is linux/arm64; platform "linux" would do',
  );
  expect(errorFor('windows(10.0.20348)/amd64', ['linux/amd64']).message).toContain('platform "linux" would do');
  expect(errorFor('darwin/arm64', ['linux/s390x']).message).toContain('choose one with platform');
});

test('one image shows its platform; a long list is cut; an empty one is reported', () => {
  expect(errorFor('linux/arm64', ['linux/amd64'], true).message).toContain('it is one image, for linux/amd64');
  expect(errorFor('linux/arm64', []).message).toMatch(/: there is none$/);
  const many = Array.from({ length: 30 }, (_, index) => `linux/cpu${index}`);
  expect(errorFor('linux/arm64', many).message).toContain('and 10 more');
});

test('a platform is given as text or as a record, and normalised', () => {
  const arm = { os: 'linux', architecture: 'arm', variant: 'v7' };
  expect(platformOf('linux/armhf')).toEqual(arm);
  expect(platformOf({ os: 'Linux', architecture: 'armhf' })).toEqual(arm);
  expect(() => platformOf('a/b/c/d')).toThrow('Cannot parse platform "a/b/c/d"');
  for (const given of [{ os: 'linux' }, { os: 1, architecture: 'arm' }, ['linux/arm'], 7, null, undefined]) {
    expect(() => platformOf(given)).toThrow(expect.objectContaining({ code: 'INVALID_REFERENCE' }));
  }
});
