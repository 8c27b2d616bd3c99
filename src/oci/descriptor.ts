import { z } from 'zod';
import { cannot } from '../errors.ts';
import { firstProblem } from '../text/problems.ts';
import { quote } from '../text/quote.ts';
import { type Digest, digestProblem, parseDigest } from './digest.ts';
import { type Platform, platformSchema } from './platform.ts';

/** A thing's type, digest and size. https://github.com/opencontainers/image-spec/blob/v1.1.0/descriptor.md */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes, of the content after any Content-Encoding is taken off. */
  readonly size: number;
  /** Further places to download it from. */
  readonly urls?: readonly string[] | undefined;
  /** The content itself, base64. */
  readonly data?: string | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly artifactType?: string | undefined;
  readonly platform?: Platform | undefined;
}

/** https://www.rfc-editor.org/rfc/rfc6838#section-4.2: type and subtype of at most 127 characters each. */
const mediaTypeGrammar = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/;

const mediaType = z.string('not a string').regex(mediaTypeGrammar, 'not a media type, type/subtype');

/** A descriptor in a document: strict on the fields that are used; others are kept as they are. */
export const descriptorSchema = z.looseObject(
  {
    mediaType,
    digest: z.custom<Digest>((value) => digestProblem(value) === undefined, {
      error: ({ input }) => digestProblem(input) ?? 'not a digest',
    }),
    size: z.int('not a whole number of bytes').nonnegative('not a number from 0 on'),
    urls: z.array(z.string('not a string'), 'not a list').optional(),
    data: z.string('not a string').refine(isBase64, 'not base64').optional(),
    annotations: z.record(z.string(), z.string('not a string'), 'not an object of strings').optional(),
    artifactType: z.string('not a string').optional(),
    platform: platformSchema.optional(),
  },
  'not an object',
);

/**
 * Checks a descriptor that a caller gives: `INVALID_DIGEST` for its digest, `INVALID_REFERENCE` for any other field,
 * naming field and value. Fields that are not known stay.
 */
export function parseDescriptor(value: unknown): Descriptor {
  const parsed = descriptorSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues.filter(({ path }) => path[0] === 'digest');
  if (issue) parseDigest((value as { digest: string }).digest);
  throw cannot('INVALID_REFERENCE', 'read descriptor', firstProblem(parsed.error, value));
}

/**
 * The content that a descriptor carries in itself; undefined if it carries none. Its digest is not checked here.
 * `DECODE_ERROR` for text that is not base64, `TOO_LARGE` or `UNEXPECTED_END` if it has not `size` bytes.
 */
export function decodeData({ data, digest, size }: Descriptor): Uint8Array | undefined {
  if (data === undefined) return undefined;
  const attempted = `use the data of descriptor ${quote(digest)}`;
  const details = { value: digest, reason: 'inconsistent-image' } as const;
  if (!isBase64(data)) throw cannot('DECODE_ERROR', attempted, 'not base64', details);
  const padding = data.endsWith('==') ? 2 : Number(data.endsWith('='));
  const length = (data.length / 4) * 3 - padding;
  if (length !== size) {
    const code = length > size ? 'TOO_LARGE' : 'UNEXPECTED_END';
    throw cannot(code, attempted, `${length} bytes, but its size is ${size}`, details);
  }
  return Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
}

/** RFC 4648 section 4, nothing left out and nothing besides: padded, no white space, no bits after the last byte. */
function isBase64(text: string): boolean {
  if (text.length % 4 !== 0) return false;
  const last = text.slice(-4);
  if (/[^A-Za-z0-9+/]/.test(text.slice(0, -4)) || !/^(?:[A-Za-z0-9+/]{2,4}={0,2})?$/.test(last)) return false;
  return last === '' || btoa(atob(last)) === last;
}
