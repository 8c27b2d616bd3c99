import { z } from 'zod';
import type { KeyProblem } from '../../config/parse-config.ts';
import { urlProblem } from '../../config/registry-keys.ts';
import { configError } from '../../errors.ts';
import { checkPlain, type KeyPath, keyOf, valueAt } from '../../text/problems.ts';
import { describeValue, quote, unknownKey } from '../../text/quote.ts';
import { isPrefix } from './address-table.ts';
import { type BucketOptions, keysOf, type Region } from './buckets.ts';
import type { ClientRule } from './client-address.ts';

/** Where a front redirects to. */
export interface FrontOptions extends BucketOptions {
  /** URL of the registry that has everything: `https://registry.example`; `/v2/` follows it. */
  readonly upstream: string;
  /** Put before the names of all repositories at the upstream: `project/images`. */
  readonly prefix?: string | undefined;
  /** URL of the registry that has cosign's signatures and attestations, below the same prefix. Default: the upstream. */
  readonly signatures?: string | undefined;
  /** The page for people at `/`. Without it, 404. */
  readonly info?: string | undefined;
  /** The page at `/privacy`. Without it, 404. */
  readonly privacy?: string | undefined;
  /** Whose address a client has. Default `second-from-end`. */
  readonly client?: ClientRule | undefined;
  /** Keeps the query of a request (`n`, `last`, `artifactType`, `ns`) in redirects to a registry. Default: it is dropped. */
  readonly keepQuery?: boolean | undefined;
  /** Called for each response. What it throws or rejects with is ignored. */
  readonly onEvent?: ((event: FrontEvent) => unknown) | undefined;
}

/** One response of a front, for logs and metrics. */
export interface FrontEvent {
  readonly request: Request;
  readonly status: number;
  /** What a redirect leads to; undefined for a response that is not a redirect. */
  readonly to?: 'upstream' | 'signatures' | 'bucket' | 'info' | 'privacy' | undefined;
  readonly location?: string | undefined;
  /** Of a blob. */
  readonly digest?: string | undefined;
  /** Address of the client, if the request is for a blob and it is known. */
  readonly client?: string | undefined;
  /** The client's cloud and region. */
  readonly region?: Region | undefined;
}

const text = z.string('expected a text');
const flag = z.boolean('expected true or false');

const checked = (problem: (value: string) => string | undefined) =>
  text.check(({ value, issues }) => {
    const message = problem(value);
    if (message !== undefined) issues.push({ code: 'custom', input: value, message });
  });

const url = checked((value) => urlProblem(value) ?? pageProblem(value));
/** Of a page: with a query, if it has one. It becomes a header as it is. */
const page = checked(pageProblem);
const path = checked((value) =>
  value.split('/').every((part) => /^[\w.~:@+=-]+$/.test(part) && !/^\.{1,2}$/.test(part))
    ? undefined
    : 'expected a path such as "project/images"',
);
const prefix = checked((value) => (isPrefix(value) ? undefined : 'expected an address or a CIDR block'));
const list = <Item extends z.ZodType>(item: Item, of: string) => z.array(item, `expected a list of ${of}`);

function pageProblem(value: string): string | undefined {
  const isPlain = /^https?:\/\/[^/?#@]+(?:[/?#]|$)/i.test(value) && /^[!-[\]-~]+$/.test(value) && URL.canParse(value);
  return isPlain ? undefined : 'expected an absolute http or https URL in ASCII, without user name';
}

const bucket = z
  .strictObject(
    { url, cloud: text.min(1, 'expected a cloud').optional(), regions: list(text, 'regions').optional() },
    'expected an object with a url',
  )
  .check(({ value: { cloud, regions }, issues }) => {
    if (regions === undefined || cloud !== undefined) return;
    issues.push({ code: 'custom', input: regions, path: ['regions'], message: 'expected a cloud with them' });
  });

const client = z.union(
  [z.literal('second-from-end'), z.literal('socket'), z.strictObject({ proxies: list(prefix, 'addresses') })],
  'expected "second-from-end", "socket", or an object with proxies',
);

const whole = (least: number) =>
  z
    .int('expected a whole number')
    .min(least, `expected a whole number from ${least} on`)
    .max(2 ** 31 - 1, `expected at most ${2 ** 31 - 1}`)
    .optional();

/** What a file says of a front, and the options of `redirectFront` too; `ranges` aside. */
const shape = {
  upstream: url,
  prefix: path.optional(),
  signatures: url.optional(),
  info: page.optional(),
  privacy: page.optional(),
  client: client.optional(),
  keepQuery: flag.optional(),
  buckets: list(bucket, 'buckets').optional(),
  bucketPath: path.optional(),
  stay: list(text, 'clouds').optional(),
  checkTimeout: whole(1),
  remembered: whole(0),
};

/** Names of the files with the clouds' addresses. */
export const frontFileSchema = z.strictObject(
  { ...shape, ranges: list(text.min(1, 'expected the path of a file'), 'files').optional() },
  'expected an object with an upstream',
);

const listener = z.custom((value) => typeof value === 'function', 'expected a function').optional();
const range = z.object({ prefix, cloud: text, region: text }, 'expected prefix, cloud and region');
const optionsSchema = z.strictObject({
  ...shape,
  ranges: list(range, 'ranges').optional(),
  transport: listener,
  onEvent: listener,
});

const { buckets, bucketPath, ranges, stay, client: rule, checkTimeout, remembered, transport } = optionsSchema.shape;
const bucketOptions = { buckets, bucketPath, ranges, stay, client: rule, checkTimeout, remembered, transport };
const bucketsSchema = z.strictObject(bucketOptions);

/** Refuses options of a front that cannot be used: `INVALID_CONFIG` with all problems. */
export const checkFrontOptions = (options: FrontOptions): void =>
  refuse('make a redirecting front', options, optionsSchema);

/** As `checkFrontOptions`, of what is said of buckets and clients. */
export const checkBucketOptions = (options: BucketOptions): void =>
  refuse('locate blobs in buckets', options, bucketsSchema);

function refuse(attempted: string, options: object, schema: z.ZodObject): void {
  checkPlain(attempted, options);
  const problems = frontProblems(options, schema);
  if (problems.length === 0) return;
  throw configError(
    attempted,
    problems.map(({ path, found }) => ({ key: keyOf(path), found })),
  );
}

/** What is wrong with the options of a front, or with what a file says of it. */
export function frontProblems(value: unknown, schema: z.ZodObject): KeyProblem[] {
  const { error } = schema.safeParse(value);
  return error
    ? error.issues.flatMap((issue) => problemsOf(issue, issue.path, { root: value, schema }))
    : conflicts(value as FrontOptions);
}

interface Whole {
  readonly root: unknown;
  readonly schema: z.ZodObject;
}

function problemsOf(issue: z.core.$ZodIssue, path: KeyPath, whole: Whole): KeyProblem[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: [...path, key], found: unknownKey(key, keysAt(path, whole)) }));
  const value = valueAt(whole.root, path);
  if (issue.code === 'invalid_union' && typeof value === 'object' && value !== null) {
    return issue.errors.at(-1)?.flatMap((inner) => problemsOf(inner, [...path, ...inner.path], whole)) ?? [];
  }
  const found = value === undefined ? 'nothing found' : `found ${describeValue(value)}`;
  return [{ path, found: `${found}, ${issue.message}` }];
}

function keysAt(path: KeyPath, { schema }: Whole): readonly string[] {
  if (path.length === 0) return Object.keys(schema.shape);
  return path[0] === 'client' ? ['proxies'] : Object.keys(bucket.shape);
}

/** Buckets that are never used: for the same clients as another one, or for those that stay. */
function conflicts({ buckets = [], stay = ['GCP'] }: FrontOptions): KeyProblem[] {
  const staying = new Set(stay.map((cloud) => cloud.toLowerCase()));
  const taken = new Map<string, number>();
  return buckets.flatMap((bucket, index): KeyProblem[] => {
    const path = ['buckets', index];
    const duplicates = keysOf(bucket)
      .map((key) => taken.get(key))
      .filter((other) => other !== undefined);
    for (const key of keysOf(bucket)) taken.set(key, index);
    const [first] = duplicates;
    if (bucket.cloud !== undefined && staying.has(bucket.cloud.toLowerCase())) {
      const found = `found ${quote(bucket.cloud)}, whose clients stay at the upstream: expected "stay" without it`;
      return [{ path: [...path, 'cloud'], found }];
    }
    return first === undefined ? [] : [{ path, found: `found the clients of buckets[${first}], expected others` }];
  });
}
