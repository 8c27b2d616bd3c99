import { z } from 'zod';
import { cannot, type RegistryError } from '../errors.ts';
import { checkValueCount, endOfString, mostJsonValues, readJson } from '../text/json.ts';
import { firstProblem } from '../text/problems.ts';
import { quote } from '../text/quote.ts';
import { type Descriptor, statedDescriptor } from './descriptor.ts';
import { orAbsent, statedAnnotations, statedText } from './stated.ts';

/** The media types that this package knows by name. */
export const mediaTypes = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociEmpty: 'application/vnd.oci.empty.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  octets: 'application/octet-stream',
} as const;

const indexTypes: ReadonlySet<string> = new Set([mediaTypes.ociIndex, mediaTypes.dockerList]);

const manifestTypes: ReadonlySet<string> = new Set([mediaTypes.ociManifest, mediaTypes.dockerManifest]);

/** What a request for a manifest accepts: one value, as several registries read only the first of several headers. */
export const manifestAccept: string = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerList,
  mediaTypes.dockerManifest,
  '*/*',
].join(', ');

/** A media type without its parameters, in lower case: what a `Content-Type` header names. */
export const bareMediaType = (mediaType: string): string => (mediaType.split(';')[0] ?? '').trim().toLowerCase();

/** OCI manifest or Docker manifest, version 2. */
export const isManifestType = (mediaType: string): boolean => manifestTypes.has(bareMediaType(mediaType));

/** OCI index or Docker manifest list. */
export const isIndexType = (mediaType: string): boolean => indexTypes.has(bareMediaType(mediaType));

/** A type of a manifest or index that this package reads. */
export const isDocumentType = (mediaType: string): boolean => isManifestType(mediaType) || isIndexType(mediaType);

/** Docker's first manifest format, which this package does not read. */
export const isSchema1 = (mediaType: string): boolean =>
  /^application\/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)$/.test(bareMediaType(mediaType));

/** Which endpoint of a registry has content of this type. */
export const kindOf = (mediaType: string): 'manifests' | 'blobs' =>
  isDocumentType(mediaType) || isSchema1(mediaType) ? 'manifests' : 'blobs';

const nonDistributable =
  /^application\/vnd\.(?:oci\.image\.layer\.nondistributable\.v1\.|docker\.image\.rootfs\.foreign\.)/;

/** Layers that registries need not have, as their licence does not allow everybody to redistribute them. */
export const isNonDistributable = (mediaType: string): boolean => nonDistributable.test(bareMediaType(mediaType));

/** Most bytes of a manifest, unless an option says otherwise: 4 MiB, as registries have it. https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pushing-manifests */
export const defaultManifestBytes = 4_194_304;

/** Most bytes of a manifest that a layout has: it was let in by whoever wrote it. */
export const storedManifestBytes = 67_108_864;

/** A manifest over the limit of a client. */
export const manifestTooLarge = (reference: string, limit: number, size?: number): RegistryError =>
  cannot(
    'TOO_LARGE',
    `use manifest ${quote(reference)}`,
    `${size === undefined ? 'it has more' : `it has ${size}`} bytes, and the limit "limits.manifestBytes" is ${limit}`,
    { reason: 'limit', limit: 'limits.manifestBytes', value: reference },
  );

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

const fields = {
  schemaVersion: z
    .literal(2, 'not 2')
    .nullish()
    .transform((): 2 => 2),
  mediaType: orAbsent(z.string('not a string')).transform((type) => type || undefined),
  artifactType: statedText,
  annotations: statedAnnotations,
};

const documentSchema = z.looseObject(fields);

/**
 * Reads an image manifest or an index. `mediaType` is what its descriptor or `Content-Type` says; parameters are
 * dropped. Null means left out. Fields that are not known stay. A descriptor in it that cannot be used makes only itself
 * unreadable: reading what it lacks, its `digest` for example, throws `BAD_RESPONSE`.
 *
 * `BAD_RESPONSE` for what is not a JSON object in UTF-8, has a duplicate key, is both manifest and index
 * (https://github.com/advisories/GHSA-77vh-xpmg-72qh) or neither, or has a `mediaType` that contradicts the one given;
 * `UNSUPPORTED` for Docker schema 1.
 */
export function parseDocument(bytes: Uint8Array, mediaType?: string): Manifest | Index {
  const { document, type } = readTyped(bytes, mediaType);
  if (!isDocumentType(type)) throw bad(`its type is ${quote(type)}`);
  const parsed = documentSchema.safeParse(document);
  if (!parsed.success) throw bad(firstProblem(parsed.error, document));
  const { subject, config, layers, manifests, ...rest } = parsed.data;
  const common = {
    // An absent field is not one that is undefined, which `in` would see.
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
    ...((subject ?? undefined) !== undefined && { subject: statedDescriptor(subject, ['subject']) }),
    schemaVersion: 2 as const,
  };
  if (isIndexType(type)) return { ...common, manifests: descriptorsIn(manifests, 'manifests') };
  return {
    ...common,
    config: statedDescriptor(withType(config), ['config']),
    layers: descriptorsIn(layers, 'layers', withType),
  };
}

/** An empty list is null in what Go programs write, or left out. */
function descriptorsIn(list: unknown, key: string, prepare = (value: unknown) => value): readonly Descriptor[] {
  if ((list ?? undefined) === undefined) return [];
  if (!Array.isArray(list)) throw bad(`field "${key}" is ${quote(list)}: not a list`);
  return list.map((value: unknown, place) => statedDescriptor(prepare(value), [key, place]));
}

/** A blob without a media type is just bytes. */
function withType(value: unknown): unknown {
  const { mediaType } = (value ?? {}) as Record<string, unknown>;
  return typeof value === 'object' && value !== null && !mediaType ? { ...value, mediaType: mediaTypes.octets } : value;
}

/**
 * The media type of a document that a registry or a layout has as a manifest, without parameters: its own, the one given,
 * or what it holds. A type that this package does not know is left as it is: the manifest of another artifact. Errors as
 * those of `parseDocument`.
 */
export const typeOfDocument = (bytes: Uint8Array, mediaType?: string): string => readTyped(bytes, mediaType).type;

interface TypedDocument {
  readonly document: Readonly<Record<string, unknown>>;
  readonly type: string;
}

function readTyped(bytes: Uint8Array, mediaType = ''): TypedDocument {
  const given = bareMediaType(mediaType);
  if (isSchema1(given)) throw schema1(given);
  if (given === 'text/html' || given === 'application/xhtml+xml') throw bad(`HTML, ${quote(given)}`);
  const document = parseDocumentText(bytes);
  if (document.schemaVersion === 1 || 'fsLayers' in document) throw schema1(String(document.mediaType ?? given));
  return { document, type: typeOf(document, given) };
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

/** Types that do not identify a document, so that its own `mediaType` or what it holds decides. */
const vague: ReadonlySet<string> = new Set(['', 'application/json', mediaTypes.octets, 'text/plain']);

function typeOf(document: TypedDocument['document'], given: string): string {
  const own = typeof document.mediaType === 'string' ? bareMediaType(document.mediaType) : '';
  if (isSchema1(own)) throw schema1(own);
  if (own !== '' && own !== given && !vague.has(given)) {
    throw bad(`mediaType ${quote(own)} in a document served as ${quote(given)}`);
  }
  const type = vague.has(own) ? given : own;
  if (!vague.has(type) && !isDocumentType(type)) return type;
  const [manifestField, isIndex] = kindOfFields(document);
  if (vague.has(type)) return isIndex ? mediaTypes.ociIndex : manifestTypeOf(document);
  if (isIndex && isManifestType(type)) throw bad(`"manifests" in a document of type ${quote(type)}`);
  if (!isIndex && isIndexType(type)) throw bad(`"${manifestField}" in a document of type ${quote(type)}`);
  return type;
}

/** The field that makes it a manifest, and whether it is an index. A field that is null decides only if there is no other. */
function kindOfFields(
  document: TypedDocument['document'],
): readonly [manifestField: string | undefined, isIndex: boolean] {
  const has = (key: string): boolean => (document[key] ?? undefined) !== undefined && !isSettings(document, key);
  const fields = ['layers', 'config'];
  const manifestField = fields.find(has);
  if (has('manifests') && manifestField) throw bad(`both "manifests" and "${manifestField}"`);
  if (has('manifests')) return [undefined, true];
  const named = manifestField ?? fields.find((key) => key in document && !isSettings(document, key));
  if (named === undefined && !('manifests' in document)) throw bad('neither "manifests" nor "layers"');
  return [named, named === undefined];
}

/** Whether it is the `config` of an image's configuration, which has settings, and not that of a manifest: a descriptor. */
const isSettings = ({ config, rootfs }: TypedDocument['document'], key: string): boolean =>
  key === 'config' &&
  (rootfs !== undefined || (typeof config === 'object' && config !== null && !('digest' in config)));

/** Docker's manifests name Docker's type of config. */
function manifestTypeOf({ config }: TypedDocument['document']): string {
  const { mediaType } = (config ?? {}) as Record<string, unknown>;
  const isDocker = typeof mediaType === 'string' && bareMediaType(mediaType) === mediaTypes.dockerConfig;
  return isDocker ? mediaTypes.dockerManifest : mediaTypes.ociManifest;
}

/**
 * A JSON object in UTF-8, of at most a thousand levels and so many values (`TOO_LARGE`). `BAD_RESPONSE` for anything else,
 * and for a duplicate key in an object: readers differ in which of the two they believe, so that one digest would mean two
 * contents.
 */
export function parseDocumentText(bytes: Uint8Array, most: number = mostJsonValues(bytes)): Record<string, unknown> {
  checkValueCount(bytes, 'read manifest', most);
  const text = decode(bytes);
  if (/^\s*</.test(text)) throw bad(`HTML or XML, ${quote(text, 40)}`);
  const read = readJson(text);
  if ('found' in read) throw bad(`${read.found}, ${quote(text, 40)}`);
  const { value } = read;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad('JSON, but not an object');
  const duplicate = duplicateKey(text);
  if (duplicate !== undefined) throw bad(`duplicate key ${quote(duplicate)}`);
  return value as Record<string, unknown>;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array): string {
  if (bytes.length === 0) throw bad('no bytes');
  try {
    const text = decoder.decode(bytes);
    if (!text.startsWith('\uFEFF')) return text;
  } catch (cause) {
    throw bad('not UTF-8', cause);
  }
  throw bad('a byte order mark, which JSON must not have');
}

/** The first key that an object of this valid JSON text has twice. No regular expression: texts may be large. */
function duplicateKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (let position = 0; position < text.length; position++) {
    const character = text[position];
    if (character === '{') open.push(new Set());
    else if (character === '}') open.pop();
    else if (character === '"') {
      const end = endOfString(text, position);
      const keys = isKey(text, end) ? open.at(-1) : undefined;
      if (keys) {
        const key: string = JSON.parse(text.slice(position, end));
        if (keys.has(key)) return key;
        keys.add(key);
      }
      position = end - 1;
    }
  }
  return undefined;
}

function isKey(text: string, end: number): boolean {
  let position = end;
  while (/[ \t\r\n]/.test(text[position] ?? '')) position++;
  return text[position] === ':';
}

const bad = (found: string, cause?: unknown): RegistryError =>
  cannot('BAD_RESPONSE', 'read manifest', found, { cause });

const schema1 = (type: string): RegistryError =>
  cannot('UNSUPPORTED', `read manifest ${quote(type)}`, 'Docker schema 1 is not supported');
