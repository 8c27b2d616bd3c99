import { z } from 'zod';

/** A field that may be left out; null counts as left out, as encoders write it for what they do not have. */
export const orAbsent = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? undefined);

/** A field of a document that nothing depends on: absent if it is null or of another type. */
export const stated = <T extends z.ZodType>(schema: T) =>
  z
    .unknown()
    .optional()
    .transform((value): z.output<T> | undefined => schema.safeParse(value).data);

/** A text; an empty one is no text. */
export const statedText = stated(z.string().min(1));

const isText = (value: unknown): value is string => typeof value === 'string';

/** The texts of a list. */
export const statedTexts = stated(z.array(z.unknown()).transform((list) => list.filter(isText)));

/** The annotations that are texts. */
export const statedAnnotations = stated(
  z
    .record(z.string(), z.unknown())
    .transform(
      (all): Record<string, string> =>
        Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => isText(entry[1]))),
    ),
);
