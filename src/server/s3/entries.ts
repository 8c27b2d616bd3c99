import { cannot } from '../../errors.ts';
import { type Descriptor, parseDescriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { readJson } from '../../text/json.ts';
import { quote } from '../../text/quote.ts';
import type { ObjectStorage } from './objects.ts';

/** Most bytes of an entry: a descriptor, perhaps with the annotations of a manifest. */
const mostBytes = 4_194_304;

/** Keys of the objects of a registry: what all repositories share, and what each has. */
export interface BucketKeys {
  /** All repositories' keys begin so, each followed by a folder. */
  readonly repositories: string;
  /** All open uploads. */
  readonly uploads: string;
  folder(name: string): string;
  nameOf(folder: string): string;
  blob(digest: string): string;
  contents(name: string): string;
  content(name: string, digest: string): string;
  tags(name: string): string;
  tag(name: string, tag: string): string;
  tagOf(name: string, key: string): string;
  referrers(name: string, subject: string): string;
  referrer(name: string, subject: string, digest: string): string;
  upload(id: string): string;
  /** The bytes of all open uploads. */
  readonly allPieces: string;
  pieces(id: string): string;
}

/**
 * `blobs/sha256/ab/abcd…` is the content that repositories share. `repositories/team+app/` has what one of them has, as small
 * JSON documents with a descriptor each: `content/sha256-…`, `tags/…` and `referrers/sha256-…/sha256-…`. `uploads/<id>` is the
 * state of an upload, and `pieces/<id>/…` its bytes.
 */
export function bucketKeys(prefix: string): BucketKeys {
  const folder = (name: string): string => `${prefix}repositories/${name.replaceAll('/', '+')}/`;
  const flat = (digest: string): string => digest.replace(':', '-');
  const tags = (name: string): string => `${folder(name)}tags/`;
  const contents = (name: string): string => `${folder(name)}content/`;
  const referrers = (name: string, subject: string): string => `${folder(name)}referrers/${flat(subject)}/`;
  const uploads = `${prefix}uploads/`;
  const repositories = `${prefix}repositories/`;
  return {
    repositories,
    uploads,
    folder,
    nameOf: (key) => key.slice(repositories.length).replace(/\/$/, '').replaceAll('+', '/'),
    blob: (digest) => {
      const [algorithm = '', hex = ''] = digest.split(':');
      return `${prefix}blobs/${algorithm}/${hex.slice(0, 2)}/${hex}`;
    },
    contents,
    content: (name, digest) => contents(name) + flat(digest),
    tags,
    tag: (name, tag) => tags(name) + encodeURIComponent(tag),
    tagOf: (name, key) => decodeURIComponent(key.slice(tags(name).length)),
    referrers,
    referrer: (name, subject, digest) => referrers(name, subject) + flat(digest),
    upload: (id) => uploads + id,
    allPieces: `${prefix}pieces/`,
    pieces: (id) => `${prefix}pieces/${id}/`,
  };
}

/** The descriptor in an entry; undefined if there is none. */
export async function readEntry(
  objects: ObjectStorage,
  key: string,
  signal: AbortSignal | undefined,
): Promise<(Descriptor & { readonly digest: Digest }) | undefined> {
  const found = await objects.read(key, mostBytes, { signal });
  if (!found) return undefined;
  const read = readJson(found.bytes);
  const attempted = `read ${quote(key)} in bucket ${quote(objects.name)}`;
  if ('found' in read) throw cannot('STORE_ERROR', attempted, read.found, { value: key });
  try {
    return parseDescriptor(read.value);
  } catch (cause) {
    throw cannot('STORE_ERROR', attempted, 'it does not have a descriptor', { value: key, cause });
  }
}

export async function writeEntry(
  objects: ObjectStorage,
  key: string,
  descriptor: Descriptor,
  signal: AbortSignal | undefined,
): Promise<void> {
  await objects.write(key, new TextEncoder().encode(JSON.stringify(descriptor)), { signal });
}
