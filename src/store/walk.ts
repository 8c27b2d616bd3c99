import { abortError } from '../abort.ts';
import { asRegistryError, cannot, type RegistryError, restate } from '../errors.ts';
import { type Descriptor, descriptorSchema } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { defaultManifestBytes, kindOf, parseDocument } from '../oci/manifest.ts';
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
  /** Called for an invalid document; without it the walk fails. */
  readonly onInvalid?: ((digest: Digest, error: RegistryError) => void) | undefined;
}

/** Most documents that are read in one walk. */
const mostDocuments = 100_000;

type DocumentFacts = Pick<Reached, 'children' | 'isIndex' | 'bytes'>;

const leaf: DocumentFacts = { children: [], isIndex: false };

/**
 * All that the entries of `index.json` reach, each digest once; documents first, so that what is named both as a document
 * and as a part is read. Fails with `BAD_RESPONSE` at an invalid entry, and at an invalid document if `onInvalid` is not
 * given. What is not here is reported, too.
 */
export async function* walk(
  { entries }: LayoutIndex,
  blobs: Blobs,
  { signal, links, onInvalid }: LayoutWalkOptions,
): AsyncGenerator<Reached, void, undefined> {
  const seen = new Set<string>();
  type Next = NamedContent & Pick<Reached, 'neededBy'>;
  const parts: Next[] = [];
  const documents: Next[] = entries.map(({ descriptor, problem }, at) => {
    if (!descriptor)
      throw cannot('BAD_RESPONSE', 'read index.json', `manifests[${at}]: ${problem}`, { value: 'index.json' });
    return { descriptor, neededBy: undefined, as: 'entry' };
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
  const isManifest = kindOf(mediaType) === 'manifests';
  const bytes = await blobs.document(digest, links);
  try {
    if (bytes) return isManifest ? documentOf(bytes, mediaType) : unknownDocument(bytes);
    if (!isManifest) return leaf;
    throw cannot('TOO_LARGE', 'read manifest', `${size} bytes, at most ${defaultManifestBytes}`, { reason: 'limit' });
  } catch (thrown) {
    const attempted = `read manifest "${digest}"`;
    const cause = asRegistryError(thrown, 'BAD_RESPONSE', attempted);
    const error = restate(cause, {
      attempted,
      found: foundBy(cause),
      reason: cause.reason ?? 'invalid-document',
      value: digest,
      cause,
    });
    if (!onInvalid) throw error;
    onInvalid(digest, error);
    return leaf;
  }
}

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
    const descriptor = descriptorSchema.safeParse(value);
    if (descriptor.success) children.push({ descriptor: descriptor.data, as: 'part' });
    for (const inner of Object.values(value)) look(inner);
  };
  try {
    look(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    // Not JSON, or nested too deeply: content that names nothing.
  }
  return { children, isIndex: false };
}
