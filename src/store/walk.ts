import { abortError } from '../abort.ts';
import { asRegistryError, cannot, type RegistryError, restate } from '../errors.ts';
import { type Descriptor, isReadable, problemOf, statedDescriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { kindOf, parseDocument, storedManifestBytes } from '../oci/manifest.ts';
import { readJson } from '../text/json.ts';
import type { Blobs } from './blobs.ts';
import type { LayoutIndex } from './entries.ts';
import { foundBy } from './store-error.ts';

/** How content is named: as an entry of an index, as a part of a manifest, or as what a manifest refers to. */
export interface NamedContent {
  readonly descriptor: Descriptor;
  readonly as: 'entry' | 'part' | 'subject';
}

/** Content that something names. */
export interface Reached extends NamedContent {
  /** Digest of the document that names it; undefined for an entry of `index.json`. */
  readonly neededBy: string | undefined;
  readonly isHere: boolean;
  /** What it names itself, if it is a document that is here. */
  readonly children: readonly NamedContent[];
  readonly isIndex: boolean;
  /** Its bytes, if they are a document. */
  readonly bytes?: Uint8Array | undefined;
}

/** How to walk. */
export interface LayoutWalkOptions {
  readonly signal?: AbortSignal | undefined;
  readonly links?: boolean | undefined;
  /** Called for an invalid document, and without a digest for an invalid entry of `index.json`; without it the walk fails. */
  readonly onInvalid?: ((digest: Digest | undefined, error: RegistryError) => void) | undefined;
}

/** Most documents that are read in one walk. */
const mostDocuments = 100_000;

type DocumentFacts = Pick<Reached, 'children' | 'isIndex' | 'bytes'>;

const leaf: DocumentFacts = { children: [], isIndex: false };

/**
 * All that the entries of `index.json` reach, each digest once; documents first, so that what is named both as a document
 * and as a part is read. Without `onInvalid` it fails with `BAD_RESPONSE` at an invalid entry or document, but not at a
 * descriptor in a document that has no valid digest: that names nothing which could be here. What is not here is
 * reported, too.
 */
export async function* walk(
  { entries }: LayoutIndex,
  blobs: Blobs,
  { signal, links, onInvalid }: LayoutWalkOptions,
): AsyncGenerator<Reached, void, undefined> {
  const seen = new Set<string>();
  type Next = NamedContent & Pick<Reached, 'neededBy'>;
  const parts: Next[] = [];
  const documents: Next[] = entries.flatMap(({ descriptor, problem }, at) => {
    if (descriptor) return [{ descriptor, neededBy: undefined, as: 'entry' as const }];
    const error = cannot('BAD_RESPONSE', 'read index.json', `manifests[${at}]: ${problem}`, { value: 'index.json' });
    if (!onInvalid) throw error;
    onInvalid(undefined, error);
    return [];
  });
  documents.reverse();
  let count = 0;
  for (let next = documents.pop(); next; next = documents.pop() ?? parts.pop()) {
    if (signal?.aborted) throw abortError(signal.reason);
    const { digest } = next.descriptor;
    if (seen.has(digest)) continue;
    seen.add(digest);
    const facts = await blobs.factsOf(digest, { links }).catch((error: RegistryError) => {
      if (onInvalid) onInvalid(digest, error);
      // A part is not read here.
      else if (next.as !== 'part') throw error;
      return undefined;
    });
    const document =
      facts && next.as !== 'part' ? await readDocument(blobs, next.descriptor, facts.size, { links, onInvalid }) : leaf;
    yield { ...next, ...document, isHere: facts !== undefined };
    for (const child of document.children) {
      (child.as === 'part' ? parts : documents).push({ ...child, neededBy: digest });
    }
    if (next.as !== 'part' && ++count > mostDocuments) {
      throw cannot('TOO_LARGE', 'walk a layout', `more than ${mostDocuments} manifests`, { reason: 'limit' });
    }
  }
}

async function readDocument(
  blobs: Blobs,
  { digest, mediaType }: Descriptor,
  size: number,
  { links, onInvalid }: LayoutWalkOptions,
): Promise<DocumentFacts> {
  const refuse = (thrown: unknown): void => {
    const attempted = `read manifest "${digest}"`;
    const cause = asRegistryError(thrown, 'BAD_RESPONSE', attempted);
    const reason = cause.reason ?? 'invalid-document';
    const error = restate(cause, { attempted, found: foundBy(cause), reason, value: digest, cause });
    if (!onInvalid) throw error;
    onInvalid(digest, error);
  };
  const type = kindOf(mediaType) === 'manifests' ? mediaType : await blobs.typeOf(digest, { size }, links);
  const bytes = await blobs.document(digest, links);
  let facts = leaf;
  try {
    if (bytes) facts = kindOf(type) === 'manifests' ? documentOf(bytes, type) : unknownDocument(bytes);
    else if (kindOf(type) === 'manifests') throw tooLarge(size);
  } catch (thrown) {
    refuse(thrown);
  }
  for (const problem of facts.children.flatMap(({ descriptor }) => problemOf(descriptor) ?? [])) {
    if (onInvalid || problem.digest) refuse(cannot('BAD_RESPONSE', 'read manifest', problem.found));
  }
  return { ...facts, children: facts.children.filter(({ descriptor }) => isReadable(descriptor)) };
}

const tooLarge = (size: number): RegistryError =>
  cannot('TOO_LARGE', 'read manifest', `${size} bytes, at most ${storedManifestBytes}`, { reason: 'limit' });

function documentOf(bytes: Uint8Array, mediaType: string): DocumentFacts {
  const parsed = parseDocument(bytes, mediaType);
  const subject: NamedContent[] = parsed.subject ? [{ descriptor: parsed.subject, as: 'subject' }] : [];
  if ('manifests' in parsed) {
    const entries = parsed.manifests.map((descriptor): NamedContent => ({ descriptor, as: 'entry' }));
    return { children: [...entries, ...subject], isIndex: true, bytes };
  }
  const parts = [parsed.config, ...parsed.layers].map((descriptor): NamedContent => ({ descriptor, as: 'part' }));
  return { children: [...parts, ...subject], isIndex: false, bytes };
}

/** A document of an unknown type: every descriptor in it counts, so that nothing it needs is taken for garbage. */
function unknownDocument(bytes: Uint8Array): DocumentFacts {
  const children: NamedContent[] = [];
  const look = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    const descriptor = statedDescriptor(value, []);
    if (isReadable(descriptor)) children.push({ descriptor, as: 'part' });
    for (const inner of Object.values(value)) look(inner);
  };
  const read = readJson(bytes);
  // Content that is not JSON, or nested too deeply for anybody to walk it, names nothing.
  if ('value' in read) look(read.value);
  return { children, isIndex: false };
}
