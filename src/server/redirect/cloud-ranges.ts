import { z } from 'zod';
import { configError } from '../../errors.ts';
import { readJson } from '../../text/json.ts';
import { quote } from '../../text/quote.ts';
import { isPrefix } from './address-table.ts';

/** Addresses of a cloud, and where they are. */
export interface CloudRange {
  /** `192.0.2.0/24` or `2001:db8::/32`. */
  readonly prefix: string;
  /** `AWS`, `GCP`, `Azure`, or another name. */
  readonly cloud: string;
  /** As the cloud names it; `GLOBAL` or `global` for addresses of no region. */
  readonly region: string;
}

const text = z.string('expected a text');
const prefix = text.refine(isPrefix, 'expected an address prefix');

/** https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html */
const aws = z.object({
  prefixes: z.array(z.object({ ip_prefix: prefix, region: text })),
  ipv6_prefixes: z.array(z.object({ ipv6_prefix: prefix, region: text })),
});

/** https://www.gstatic.com/ipranges/cloud.json */
const gcp = z.object({
  prefixes: z.array(z.object({ ipv4Prefix: prefix.optional(), ipv6Prefix: prefix.optional(), scope: text })),
});

/** https://www.microsoft.com/en-us/download/details.aspx?id=56519 */
const azure = z.object({
  values: z.array(
    z.object({ name: text, properties: z.object({ region: text, addressPrefixes: z.array(prefix).optional() }) }),
  ),
});

const own = z.array(z.object({ prefix, cloud: text, region: text }));

/** Each published format: the key by which it is known, and how it is read. The second has the key of the last, too. */
const formats = [
  { key: 'values', read: (value: unknown) => rangesOf(azure, value, ofAzure) },
  { key: 'ipv6_prefixes', read: (value: unknown) => rangesOf(aws, value, ofAws) },
  { key: 'prefixes', read: (value: unknown) => rangesOf(gcp, value, ofGcp) },
] as const;

type Ranges = { readonly ranges: readonly CloudRange[] } | { readonly error: z.ZodError };

function rangesOf<Value>(
  schema: z.ZodType<Value>,
  value: unknown,
  convert: (value: Value) => readonly CloudRange[],
): Ranges {
  const parsed = schema.safeParse(value);
  return parsed.success ? { ranges: convert(parsed.data) } : { error: parsed.error };
}

/**
 * Reads the addresses of a cloud from the file that it publishes: Amazon's `ip-ranges.json`, Google's `cloud.json`, Azure's
 * service tags, or a list of `CloudRange`. `file` is its name in messages. `INVALID_CONFIG` for anything else, and for a file
 * without addresses.
 */
export function parseCloudRanges(json: string, file = 'of cloud ranges'): readonly CloudRange[] {
  const read = readJson(json);
  const refuse = (found: string): never => {
    throw configError(`use file ${quote(file)}`, [{ file, found }], { value: file });
  };
  if (!('value' in read)) return refuse(`found what is ${read.found}, expected the address ranges of a cloud`);
  const { value } = read;
  const keys = typeof value === 'object' && value !== null ? value : {};
  const format = formats.find(({ key }) => Object.hasOwn(keys, key));
  if (!format && !Array.isArray(value))
    return refuse('found no list of prefixes, expected the address ranges of a cloud');
  const result = format ? format.read(value) : rangesOf(own, value, (ranges) => ranges);
  if ('error' in result) {
    const [issue] = result.error.issues;
    return refuse(
      `found ${quote(issue?.path.join('.'))} that cannot be read, ${issue?.message ?? 'expected an address prefix'}`,
    );
  }
  return result.ranges.length > 0 ? result.ranges : refuse('found no prefix, expected at least one');
}

const ofAws = ({ prefixes, ipv6_prefixes }: z.infer<typeof aws>): CloudRange[] => [
  ...prefixes.map(({ ip_prefix, region }) => ({ prefix: ip_prefix, cloud: 'AWS', region })),
  ...ipv6_prefixes.map(({ ipv6_prefix, region }) => ({ prefix: ipv6_prefix, cloud: 'AWS', region })),
];

const ofGcp = ({ prefixes }: z.infer<typeof gcp>): CloudRange[] =>
  prefixes.flatMap(({ ipv4Prefix, ipv6Prefix, scope }) =>
    [ipv4Prefix, ipv6Prefix].flatMap((prefix) =>
      prefix === undefined ? [] : [{ prefix, cloud: 'GCP', region: scope }],
    ),
  );

/** Only the tags of whole regions: the others are parts of these, or of no region. */
const ofAzure = ({ values }: z.infer<typeof azure>): CloudRange[] =>
  values
    .filter(({ name, properties }) => name.startsWith('AzureCloud.') && properties.region !== '')
    .flatMap(({ properties: { region, addressPrefixes = [] } }) =>
      addressPrefixes.map((prefix) => ({ prefix, cloud: 'Azure', region })),
    );
