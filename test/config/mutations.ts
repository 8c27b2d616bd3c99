import fc from 'fast-check';

/** A text with one to three places cut out of it, some of them with a piece in their place. */
export const mutationsOf = (valid: string, pieces: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .array(fc.tuple(fc.nat(valid.length), fc.nat(6), fc.oneof(pieces, fc.constant(''))), { minLength: 1, maxLength: 3 })
    .map((edits) =>
      edits.reduce((text, [start, length, piece]) => text.slice(0, start) + piece + text.slice(start + length), valid),
    );
