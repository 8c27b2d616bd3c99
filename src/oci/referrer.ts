import { type Descriptor, isReadable } from './descriptor.ts';
import type { Digest } from './digest.ts';
import { type Index, type Manifest, parseDocument } from './manifest.ts';

/** A manifest that refers to another: to which one, and the descriptor under which it is listed. */
export interface Referrer {
  readonly subject: Digest;
  readonly descriptor: Descriptor;
}

/**
 * What a manifest refers to, if it does: undefined for one without `subject`, and for anything but a manifest. Its descriptor
 * has the document's annotations, and its `artifactTypeOf`.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
 */
export function referrerOf(bytes: Uint8Array, { mediaType, digest, size }: Descriptor): Referrer | undefined {
  const document = tryParse(bytes, mediaType);
  if (!document?.subject || !isReadable(document.subject)) return undefined;
  const { annotations } = document;
  const artifactType = artifactTypeOf(document);
  const described = { mediaType, digest, size, ...(artifactType !== undefined && { artifactType }) };
  return { subject: document.subject.digest, descriptor: { ...described, ...(annotations && { annotations }) } };
}

/** The type of an artifact: its own, or that of its config; an index without one of its own has none. */
export function artifactTypeOf(document: Manifest | Index): string | undefined {
  if (document.artifactType) return document.artifactType;
  return 'config' in document && isReadable(document.config) ? document.config.mediaType : undefined;
}

/** Whether an artifact has the type that is wanted, with the same parameters; letter case and the spaces between do not matter. */
export const isOfType = (found: string | undefined, wanted: string): boolean =>
  found !== undefined && spelled(found) === spelled(wanted);

const spelled = (mediaType: string): string =>
  mediaType
    .toLowerCase()
    .split(';')
    .map((part) => part.trim())
    .join(';');

/** The tag that lists the referrers of a digest if the registry has no API for it. */
export function referrersTag(digest: Digest): string {
  const [algorithm = '', encoded = ''] = digest.split(':');
  const cut = (text: string, length: number): string => text.slice(0, length).replace(/[^A-Za-z0-9._-]/g, '-');
  return `${cut(algorithm, 32)}-${cut(encoded, 64)}`;
}

function tryParse(bytes: Uint8Array, mediaType: string): Manifest | Index | undefined {
  try {
    return parseDocument(bytes, mediaType);
  } catch {
    return undefined;
  }
}
