import { z } from 'zod';
import { cannot, type RegistryError } from '../errors.ts';
import { firstProblem, type KeyPath } from '../text/problems.ts';
import { describeValue, isPlain, quote } from '../text/quote.ts';
import { type Digest, digestProblem, parseDigest } from './digest.ts';
import { type Platform, platformIn } from './platform.ts';
import { orAbsent, stated, statedAnnotations, statedText, statedTexts } from './stated.ts';

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

/**
 * Type and subtype of at most 127 characters each, then parameters. https://www.rfc-editor.org/rfc/rfc6838#section-4.2
 * https://www.rfc-editor.org/rfc/rfc9110#section-5.6.6
 */
const mediaTypeGrammar =
  /^(?=.{1,1024}$)[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}(?:[\t ]*;(?:[\t ]*[A-Za-z0-9!#$%&'*+.^_`|~-]+=(?:[A-Za-z0-9!#$%&'*+.^_`|~-]+|"(?:[\t !#-[\]-~]|\\[\t -~])*"))?)*[\t ]*$/;

const platform = z.unknown().optional().transform(platformIn);

const mediaType = z.string('not a string').regex(mediaTypeGrammar, 'not a media type, type/subtype');

const required = {
  mediaType,
  digest: z.custom<Digest>((value) => digestProblem(value) === undefined, {
    error: ({ input }) => digestProblem(input) ?? 'not a digest',
  }),
  size: z.int('not a whole number of bytes').nonnegative('not a number from 0 on'),
};

/** A descriptor that a caller gives: strict on the fields that are used; others are kept as they are. */
const givenSchema = z.looseObject(
  {
    ...required,
    urls: orAbsent(z.array(z.string('not a string'), 'not a list')),
    data: orAbsent(z.string('not a string').refine(isBase64, 'not base64')),
    annotations: orAbsent(z.record(z.string(), z.string('not a string'), 'not an object of strings')),
    artifactType: orAbsent(z.string('not a string')),
    platform,
  },
  'not an object',
);

const optional = {
  urls: statedTexts,
  data: stated(z.string().min(1).refine(isBase64)),
  annotations: statedAnnotations,
  artifactType: statedText,
  platform,
};

const statedSchema = z.looseObject({ ...required, ...optional }, 'not an object');

/** What can be read of a descriptor that cannot be used. */
const partSchema = z.looseObject({
  mediaType: stated(required.mediaType),
  digest: stated(required.digest),
  size: stated(required.size),
  ...optional,
});

const absent = { mediaType: undefined, digest: undefined, size: undefined };

/** Why a descriptor cannot be used. */
export interface DescriptorProblem {
  /** `field "layers[0].size" is "-1": not a number from 0 on` */
  readonly found: string;
  /** Its digest, if that can be read. */
  readonly digest: Digest | undefined;
}

const problems = new WeakMap<Descriptor, DescriptorProblem>();

/** Why a descriptor of a document cannot be used; undefined for one that can. */
export const problemOf = (descriptor: Descriptor): DescriptorProblem | undefined => problems.get(descriptor);

/** Whether a descriptor of a document has all that it must have. */
export const isReadable = (descriptor: Descriptor): boolean => !problems.has(descriptor);

/** The descriptor of a document that is needed: `BAD_RESPONSE` if it cannot be used. */
export function usable(descriptor: Descriptor): Descriptor {
  const problem = problems.get(descriptor);
  if (problem) throw unusable(problem.found);
  return descriptor;
}

const unusable = (found: string): RegistryError =>
  cannot('BAD_RESPONSE', 'use a descriptor', found, { reason: 'invalid-document' });

/**
 * A descriptor in a document, at `path`. Optional fields that are null or of another type are left out. One that lacks what
 * it must have makes no document unreadable: what can be read of it is there, and reading any other of its `mediaType`,
 * `digest` and `size` throws `BAD_RESPONSE`.
 */
export function statedDescriptor(value: unknown, path: KeyPath): Descriptor {
  const parsed = statedSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const found = firstProblem(parsed.error, value, path);
  const { mediaType, digest, size, ...others } = partSchema.safeParse(value).data ?? absent;
  const descriptor = { ...others } as unknown as Descriptor;
  const get = (): never => {
    throw unusable(found);
  };
  for (const [key, part] of Object.entries({ mediaType, digest, size })) {
    // What is not there is not enumerable, so that what is there can be copied and printed.
    Object.defineProperty(descriptor, key, part === undefined ? { get } : { value: part, enumerable: true });
  }
  problems.set(descriptor, { found, digest });
  return descriptor;
}

/**
 * Checks a descriptor that a caller gives: `INVALID_DIGEST` for its digest, `INVALID_REFERENCE` for any other field,
 * naming field and value. Fields that are not known stay.
 */
export function parseDescriptor(value: unknown): Descriptor {
  const parsed = givenSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const slip = slipOf(value);
  if (slip !== undefined) throw cannot('INVALID_REFERENCE', 'read descriptor', slip);
  const [issue] = parsed.error.issues.filter(({ path }) => path[0] === 'digest');
  if (issue) parseDigest((value as { digest: string }).digest);
  throw cannot('INVALID_REFERENCE', 'read descriptor', firstProblem(parsed.error, value));
}

/** What is often given in place of a descriptor, in words. */
function slipOf(value: unknown): string | undefined {
  if (typeof value === 'string') return `found ${quote(value)}, expected a descriptor: "fetchByDigest" takes a digest`;
  if (typeof value !== 'object' || value === null || 'digest' in value) return undefined;
  if ('descriptor' in value)
    return 'found what "resolve" returns, expected its descriptor: write ".descriptor" after it';
  return isPlain(value) ? undefined : `found ${describeValue(value)}, expected a descriptor`;
}

/**
 * The content that a descriptor carries in itself; undefined if it carries none. Its digest is not checked here.
 * `DECODE_ERROR` for text that is not base64, `TOO_LARGE` or `UNEXPECTED_END` if it has not `size` bytes.
 */
export function decodeData({ data, digest, size }: Descriptor): Uint8Array | undefined {
  if (data === undefined || (data === '' && size > 0)) return undefined;
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
