import { z } from 'zod';
import { cannot, type RegistryError } from '../errors.ts';
import { type Descriptor, descriptorSchema } from './descriptor.ts';
import { firstFault } from './issue.ts';
import { parseDocumentText } from './json.ts';
import { bareMediaType, isIndexType, isManifestType, isSchema1 } from './media-type.ts';
import { quote } from './quote.ts';

export { isIndexType, isManifestType, isSchema1, kindOf, manifestAccept, mediaTypes } from './media-type.ts';

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md */
export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType?: string | undefined;
  readonly artifactType?: string | undefined;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md */
export interface Index {
  readonly schemaVersion: 2;
  readonly mediaType?: string | undefined;
  readonly artifactType?: string | undefined;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

const common = {
  schemaVersion: z.literal(2, 'not 2'),
  mediaType: z.string('not a string').optional(),
  artifactType: z.string('not a string').optional(),
  subject: descriptorSchema.nullish().transform((subject) => subject ?? undefined),
  annotations: z
    .record(z.string(), z.string('not a string'), 'not an object of strings')
    .nullish()
    .transform((annotations) => annotations ?? undefined),
};

/** An empty list is `null` in what Go programs write. */
const descriptors = z
  .array(descriptorSchema, 'not a list')
  .nullable()
  .transform((list) => list ?? []);

const manifestSchema = z.looseObject({ ...common, config: descriptorSchema, layers: descriptors });
const indexSchema = z.looseObject({ ...common, manifests: descriptors });

/** Types that say nothing of a document; the document's own `mediaType` is believed beside them. */
const vague: ReadonlySet<string> = new Set(['', 'application/json', 'application/octet-stream', 'text/plain']);

/**
 * Reads an image manifest or an index. `mediaType` is what its descriptor or `Content-Type` says; parameters are
 * dropped. Fields that are not known stay.
 *
 * `BAD_RESPONSE` for what is not a JSON object in UTF-8, has a key twice, is both manifest and index
 * (https://github.com/advisories/GHSA-77vh-xpmg-72qh), has a `mediaType` that contradicts the one given, or a field of
 * a wrong type; `UNSUPPORTED` for Docker schema 1.
 */
export function parseDocument(bytes: Uint8Array, mediaType?: string): Manifest | Index {
  const type = bareMediaType(mediaType ?? '');
  if (isSchema1(type)) throw schema1(type);
  if (type === 'text/html' || type === 'application/xhtml+xml') throw bad(`HTML, ${quote(type)}`);
  const document = parseDocumentText(bytes);
  if (document.schemaVersion === 1 || 'fsLayers' in document) throw schema1(String(document.mediaType ?? type));
  const isIndex = kindOfDocument(document, type) === 'index';
  const parsed = (isIndex ? indexSchema : manifestSchema).safeParse(document);
  if (!parsed.success) throw bad(firstFault(parsed.error, document));
  // The schemas read an absent field as an undefined one, which `in` would see.
  return Object.fromEntries(Object.entries(parsed.data).filter(([, value]) => value !== undefined)) as never;
}

/** Refuses what `parseDocument` refuses. */
export function checkDocument(bytes: Uint8Array, mediaType?: string): void {
  parseDocument(bytes, mediaType);
}

/** `parseDocument`, of a document that must be a manifest: `BAD_RESPONSE` for an index. */
export function parseManifest(bytes: Uint8Array, mediaType?: string): Manifest {
  const document = parseDocument(bytes, mediaType);
  if ('manifests' in document) throw bad('an index where an image manifest is expected');
  return document;
}

/** `parseDocument`, of a document that must be an index: `BAD_RESPONSE` for an image manifest. */
export function parseIndex(bytes: Uint8Array, mediaType?: string): Index {
  const document = parseDocument(bytes, mediaType);
  if (!('manifests' in document)) throw bad('an image manifest where an index is expected');
  return document;
}

function kindOfDocument(document: Record<string, unknown>, given: string): 'index' | 'manifest' {
  const own = typeof document.mediaType === 'string' ? bareMediaType(document.mediaType) : '';
  if (isSchema1(own)) throw schema1(own);
  if (own !== '' && own !== given && !vague.has(given)) {
    throw bad(`mediaType ${quote(own)} in a document served as ${quote(given)}`);
  }
  const manifestField = ['layers', 'config'].find((key) => key in document);
  const isIndex = 'manifests' in document;
  if (isIndex && manifestField) throw bad(`both "manifests" and "${manifestField}"`);
  if (!isIndex && !manifestField) throw bad('neither "manifests" nor "layers"');
  const type = own || given;
  if (isIndex && isManifestType(type)) throw bad(`"manifests" in a document of type ${quote(type)}`);
  if (!isIndex && isIndexType(type)) throw bad(`"${manifestField}" in a document of type ${quote(type)}`);
  return isIndex ? 'index' : 'manifest';
}

const bad = (found: string): RegistryError => cannot('BAD_RESPONSE', 'read manifest', found);

const schema1 = (type: string): RegistryError =>
  cannot('UNSUPPORTED', `read manifest ${quote(type)}`, 'Docker schema 1 is not supported');
