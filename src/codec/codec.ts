/** Bounds of decoding. */
export interface DecodeOptions {
  /** The most bytes to hand on; one more is `TOO_LARGE`, found before it is allocated. Unbounded when left out. */
  readonly limit?: number | undefined;
}

/**
 * Takes one content encoding off. Fails with a RegistryError: `DECODE_ERROR` for damaged or truncated input and for
 * anything after its end, `TOO_LARGE` over the limit; an error of `body` comes through as it is. Leaving early leaves `body`.
 */
export type Decoder = (body: AsyncIterable<Uint8Array>, options?: DecodeOptions) => AsyncIterable<Uint8Array>;

/** Decoders by the name of their encoding, lower case; the order is the order of preference in Accept-Encoding. */
export type Codecs = Readonly<Record<string, Decoder>>;
