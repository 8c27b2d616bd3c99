import { z } from 'zod';
import { flag, secret, table, text, unsupported, url } from './values.ts';

/** A bucket. */
export const bucketSchema = table({
  bucket: text,
  region: text.optional(),
  regionendpoint: url.optional(),
  forcepathstyle: flag.optional(),
  accesskey: secret.optional(),
  secretkey: secret.optional(),
  sessiontoken: secret.optional(),
  rootdirectory: text.optional(),
  encrypt: unsupported('the bucket encrypts by its own rule'),
  secure: unsupported('write the scheme in regionendpoint'),
  v4auth: z.literal(true, 'not supported: requests are always signed by version 4').optional(),
  chunksize: unsupported('parts have 8 MiB'),
  storageclass: unsupported('the bucket has its own rule'),
});

/** What is said of a bucket. */
export type BucketSettings = z.infer<typeof bucketSchema>;

/** A registry made of parts, each an object with the name of one function. */
export type RegistryNode =
  | { readonly directory: string }
  | { readonly memory: Record<string, never> }
  | { readonly s3: BucketSettings }
  | { readonly remote: string }
  | { readonly readOnly: RegistryNode }
  | { readonly immutable: RegistryNode }
  | { readonly under: { readonly prefix: string; readonly registry: RegistryNode } }
  | { readonly only: { readonly names: readonly string[]; readonly registry: RegistryNode } }
  | {
      readonly union: {
        readonly first: RegistryNode;
        readonly second: RegistryNode;
        readonly writes?: 'first' | 'second' | 'both' | undefined;
      };
    }
  | { readonly cached: { readonly origin: RegistryNode; readonly store: RegistryNode } }
  | { readonly described: { readonly registry: RegistryNode; readonly cache?: 'inmemory' | 'redis' | undefined } };

const kinds = 'directory, memory, s3, remote, readOnly, immutable, under, only, union, cached, described';
const inner: z.ZodType<RegistryNode> = z.lazy(() => nodeSchema);
const nodeShapes = {
  directory: text,
  memory: table({}),
  s3: bucketSchema,
  remote: text,
  readOnly: inner,
  immutable: inner,
  under: table({ prefix: text, registry: inner }),
  only: table({ names: z.array(text), registry: inner }),
  union: table({
    first: inner,
    second: inner,
    writes: z.enum(['first', 'second', 'both'], 'expected first, second or both').optional(),
  }),
  cached: table({ origin: inner, store: inner }),
  described: table({
    registry: inner,
    cache: z.enum(['inmemory', 'redis'], 'expected inmemory or redis').optional(),
  }),
} as const;
export const nodeSchema = table(z.object(nodeShapes).partial().shape)
  .refine((value) => Object.keys(value).length === 1, `expected exactly one of ${kinds}`)
  .transform((value) => value as unknown as RegistryNode) as unknown as z.ZodType<RegistryNode>;
