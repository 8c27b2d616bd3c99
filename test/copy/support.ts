import type { ClientEvent } from '../../src/events.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { mediaTypes } from '../../src/oci/manifest.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import type { FetchOptions, Source, Store } from '../../src/source.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { bytesOf, type Sample, sampleOf } from '../contract/source.ts';
import { fill } from '../contract/store.ts';
import { text } from '../support/hosts.ts';

/** Contents in an order in which they can be pushed; the last one is what they make up. */
export interface Built {
  readonly root: Sample;
  readonly parts: readonly Sample[];
}

export const layer = (name: string, mediaType: string = mediaTypes.ociLayer): Sample =>
  sampleOf(text(`layer ${name}`), mediaType);

const documentOf = (mediaType: string, fields: object): Sample =>
  sampleOf(text(JSON.stringify({ schemaVersion: 2, mediaType, ...fields })), mediaType);

export interface ImageOptions {
  readonly platform?: string;
  readonly layers?: readonly Sample[];
  /** In place of a config that names the platform. */
  readonly config?: Sample;
}

export function image(name: string, { platform = 'linux/amd64', layers, config }: ImageOptions = {}): Built {
  const made = config ?? sampleOf(text(JSON.stringify({ name, ...parsePlatform(platform) })), mediaTypes.ociConfig);
  const all = layers ?? [layer(`${name} 1`), layer(`${name} 2`)];
  const descriptors = all.map(({ descriptor }) => descriptor);
  const root = documentOf(mediaTypes.ociManifest, { config: made.descriptor, layers: descriptors });
  return { root, parts: [...all, made, root] };
}

/** An entry of an index: a built content, and what the index says of it. */
export const entry = ({ root, parts }: Built, fields: Partial<Descriptor> & { readonly on?: string } = {}): Built => {
  const { on, ...more } = fields;
  const platform = on === undefined ? {} : { platform: parsePlatform(on) };
  return { root: { ...root, descriptor: { ...root.descriptor, ...platform, ...more } }, parts };
};

export function index(...entries: readonly Built[]): Built {
  const root = documentOf(mediaTypes.ociIndex, { manifests: entries.map((each) => each.root.descriptor) });
  return { root, parts: [...entries.flatMap(({ parts }) => parts), root] };
}

export const attestation = (name: string): Built =>
  entry(image(name, { config: sampleOf(text('{}'), mediaTypes.ociConfig) }), {
    on: 'unknown/unknown',
    annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
  });

export const digestsOf = (samples: readonly Sample[]): string[] =>
  [...new Set(samples.map(({ descriptor }) => descriptor.digest as string))].sort();

/** A store that holds what was built, by the tag `latest`. */
export async function filled({ root, parts }: Built): Promise<Store> {
  const store = memoryStore({ name: 'origin' });
  await fill(store, [...parts, { ...root, tag: 'latest' }]);
  return store;
}

/** A source, with the digests that were asked for; `before` may fail or wait. */
export function watched(
  source: Source,
  before: (target: Descriptor, options: FetchOptions) => unknown = () => undefined,
): { readonly source: Source; readonly fetched: string[] } {
  const fetched: string[] = [];
  return {
    fetched,
    source: {
      name: source.name,
      resolve: (reference, options) => source.resolve(reference, options),
      fetch: async (target, options = {}) => {
        fetched.push(target.digest);
        await before(target, options);
        return source.fetch(target, options);
      },
    },
  };
}

/** Which of these a store has, each checked in its bytes. */
export async function heldBy(store: Source, samples: readonly Sample[]): Promise<string[]> {
  const held = await Promise.all(
    samples.map(async ({ descriptor, bytes }) => {
      const found = await store.fetch(descriptor).catch(() => undefined);
      if (!found) return [];
      return Buffer.compare(await bytesOf(found), bytes) === 0 ? [descriptor.digest] : ['wrong bytes'];
    }),
  );
  return [...new Set(held.flat())].sort();
}

/** `present sha256:…`, each event of a copy a line. */
export function record(): { readonly onEvent: (event: ClientEvent) => void; readonly events: ClientEvent[] } {
  const events: ClientEvent[] = [];
  return { events, onEvent: (event) => events.push(event) };
}

export const statesOf = (events: readonly ClientEvent[], digest: string): string[] =>
  events.flatMap((event) => (event.type === 'copy' && event.digest === digest ? [event.state] : []));
