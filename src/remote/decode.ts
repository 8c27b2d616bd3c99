import { derivedBody } from '../body.ts';
import type { Codecs, Decoder } from '../codec/codec.ts';
import { loadCodecs, standardEncodings } from '../codec/codecs.ts';
import { cannot, type RegistryError } from '../errors.ts';
import { quote } from '../oci/quote.ts';
import type { Body } from '../source.ts';

/** The content encodings a client takes off. */
export interface Encodings {
  /** Value of Accept-Encoding. */
  readonly accepted: string;
  decoderFor(name: string): Promise<Decoder | undefined>;
}

/** The standard encodings, loaded when the first encoded body comes, and those given, which come first. */
export function createEncodings(own: Codecs = {}): Encodings {
  const names = new Set([...Object.keys(own), ...standardEncodings]);
  return {
    accepted: [...names].join(', '),
    decoderFor: async (name) => {
      if (Object.hasOwn(own, name)) return own[name];
      return standardEncodings.some((known) => known === name) ? (await loadCodecs())[name] : undefined;
    },
  };
}

/** Most encodings laid over each other that are taken off. */
const longestChain = 3;

/** The encodings of a Content-Encoding field, in the order in which they were put on. RFC 9110 section 8.4 */
export function parseEncodings(field = ''): string[] {
  const names = field.split(',').map((name) =>
    name
      .trim()
      .toLowerCase()
      .replace(/^x-gzip$/, 'gzip'),
  );
  return names.filter((name) => name !== '' && name !== 'identity');
}

/**
 * The body with its content encodings taken off, the last one first. At most `limit` bytes come out: one more is
 * `TOO_LARGE` before it is made. `UNSUPPORTED_ENCODING` for an unknown encoding or more than three.
 */
export async function decode(
  body: Body,
  field: string | undefined,
  { decoderFor }: Encodings,
  limit: number,
): Promise<Body> {
  const names = parseEncodings(field);
  if (names.length === 0) return body;
  if (names.length > longestChain) throw unsupported(field, `${names.length} encodings, at most ${longestChain}`);
  const decoders: Decoder[] = [];
  for (const name of names.reverse()) {
    const decoder = await decoderFor(name);
    if (!decoder) throw unsupported(field, `no decoder for ${quote(name)}`);
    decoders.push(decoder);
  }
  return derivedBody(body, (encoded) =>
    decoders.reduce<AsyncIterable<Uint8Array>>((inner, decoder, index) => {
      // What is still encoded is no longer than the content, give or take what an encoder adds.
      const most = index === decoders.length - 1 ? limit : 2 * limit + 1_048_576;
      return decoder(inner, { limit: most });
    }, encoded),
  );
}

function unsupported(field: string | undefined, found: string): RegistryError {
  return cannot('UNSUPPORTED_ENCODING', `decode content encoding ${quote(field)}`, found);
}
