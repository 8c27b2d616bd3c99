import { expect, test } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { mediaTypes } from '../../src/oci/manifest.ts';
import type { Lister, Referrers, Source, Store } from '../../src/source.ts';
import { absent, failsWith, type Sample, sampleOf, samples } from './source.ts';
import { fill } from './store.ts';

/** A source that lists, and how to close it. */
export interface MadeLists {
  readonly source: Source & Lister & Referrers;
  readonly close?: () => Promise<void>;
}

/** A document of an image or index, without the fields that are not given. */
export const documentOf = (mediaType: string, fields: object): Sample =>
  sampleOf(new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType, ...fields })), mediaType);

const { config, manifest, wide } = samples;
const image = { config: config.descriptor, layers: [] };
const subject = { subject: manifest.descriptor };

/** Manifests that refer to `samples.manifest`, and two that refer to something else. */
export const referring = {
  signature: documentOf(mediaTypes.ociManifest, {
    ...image,
    ...subject,
    artifactType: 'application/vnd.example.signature',
    annotations: { 'org.example.by': 'Ann "A" Müller' },
  }),
  plain: documentOf(mediaTypes.ociManifest, { ...image, ...subject }),
  listing: documentOf(mediaTypes.ociIndex, { manifests: [], ...subject, artifactType: 'application/vnd.example.list' }),
  untyped: documentOf(mediaTypes.ociIndex, { manifests: [], ...subject }),
  dangling: documentOf(mediaTypes.ociManifest, { ...image, subject: { ...manifest.descriptor, digest: absent } }),
  ofWide: documentOf(mediaTypes.ociManifest, { ...image, subject: wide.descriptor }),
} as const;

const everything: readonly Sample[] = [config, manifest, wide, ...Object.values(referring)];

/**
 * The contract of every source that lists tags and referrers. `make` returns a source of what `prepare` put into a store.
 */
export function listsContract(
  name: string,
  make: (prepare: (store: Store) => Promise<void>) => Promise<MadeLists>,
): void {
  const using = (
    title: string,
    prepare: (store: Store) => Promise<void>,
    body: (source: MadeLists['source']) => Promise<void>,
  ) =>
    test(`${name}: ${title}`, async () => {
      const { source, close } = await make(prepare);
      try {
        await body(source);
      } finally {
        await close?.();
      }
    });

  const withTags =
    (...tags: string[]) =>
    async (store: Store): Promise<void> => {
      await fill(store, [config, { ...manifest, tag: 'v2' }]);
      for (const tag of tags) await store.tag(manifest.descriptor, tag);
    };
  const tags = ['b', 'a', 'B_1.2-3', 'v10', '_x', 'latest', 'v2'];
  using('tags are listed once each, sorted by code point', withTags(...tags), async (source) => {
    expect(await source.tags()).toEqual(['B_1.2-3', '_x', 'a', 'b', 'latest', 'v10', 'v2']);
  });

  const many = Array.from({ length: 120 }, (_, index) => `v${index}`);
  using('many tags come all', withTags(...many), async (source) => {
    expect(await source.tags()).toEqual([...many].sort());
  });

  const untagged = (store: Store) => fill(store, [config, { descriptor: manifest.descriptor, bytes: manifest.bytes }]);
  using('content without a tag has no tags', untagged, async (source) => {
    expect(await source.tags()).toEqual([]);
  });

  const filled = (store: Store) => fill(store, everything);
  const listed = async (source: Referrers, digest: Digest, artifactType?: string) =>
    [...(await source.referrers(digest, { artifactType }))].sort((a, b) => (a.digest < b.digest ? -1 : 1));
  const expected = (...all: [Sample, object?][]) =>
    all
      .map(([{ descriptor }, more = {}]) => ({ ...descriptor, ...more }))
      .sort((a, b) => (a.digest < b.digest ? -1 : 1));
  const type = 'application/vnd.example.signature';
  const signed = { artifactType: type, annotations: { 'org.example.by': 'Ann "A" Müller' } };

  using('referrers are described with the type and annotations of their documents', filled, async (source) => {
    expect(await listed(source, manifest.descriptor.digest)).toEqual(
      expected(
        [referring.signature, signed],
        [referring.plain, { artifactType: config.descriptor.mediaType }],
        [referring.listing, { artifactType: 'application/vnd.example.list' }],
        [referring.untyped],
      ),
    );
  });

  using('referrers are filtered by type, which may be that of the config', filled, async (source) => {
    const { digest } = manifest.descriptor;
    expect(await listed(source, digest, type)).toEqual(expected([referring.signature, signed]));
    const { mediaType } = config.descriptor;
    expect(await listed(source, digest, mediaType)).toEqual(expected([referring.plain, { artifactType: mediaType }]));
    expect(await listed(source, digest, 'application/vnd.example.other')).toEqual([]);
  });

  using('a subject need not exist in the repository, and may be named by sha512', filled, async (source) => {
    const artifactType = config.descriptor.mediaType;
    expect(await listed(source, absent)).toEqual(expected([referring.dangling, { artifactType }]));
    expect(await listed(source, wide.descriptor.digest)).toEqual(expected([referring.ofWide, { artifactType }]));
  });

  using('content without referrers, and content that does not exist, have no referrers', filled, async (source) => {
    for (const digest of [`sha256:${'1'.repeat(64)}` as const, referring.plain.descriptor.digest]) {
      expect(await source.referrers(digest)).toEqual([]);
    }
  });

  const twice = async (store: Store): Promise<void> => {
    await fill(store, everything);
    await fill(store, [referring.plain]);
  };
  using('a referrer that was pushed twice is listed once', twice, async (source) => {
    expect(await source.referrers(manifest.descriptor.digest)).toHaveLength(4);
  });

  using('a signal that has fired before the call is ABORTED', withTags(), async (source) => {
    const signal = AbortSignal.abort(new Error('enough'));
    for (const call of [source.tags({ signal }), source.referrers(absent, { signal })]) {
      await expect(call).rejects.toEqual(failsWith('ABORTED'));
    }
  });
}
