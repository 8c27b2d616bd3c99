import { expect, test } from 'vitest';
import { isAttestation, noPlatformError, platformOf, selectPlatform } from '../../src/oci/choose-image.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { parsePlatform } from '../../src/oci/platform.ts';

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
