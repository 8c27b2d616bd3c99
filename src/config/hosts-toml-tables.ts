import type { Capability } from '../endpoint.ts';
import { nearest } from '../oci/nearest.ts';
import { quote } from '../oci/quote.ts';
import {
  type Decoded,
  type Decoder,
  type Found,
  flag,
  listOf,
  type Named,
  namesOf,
  tableOf,
  text,
  textLike,
} from './decoders.ts';
import type { DocumentNode, TableNode } from './document.ts';
import { parseGoDuration } from './go-duration.ts';
import { readRules, shownUrl } from './host-parts.ts';
import { headerNameFault } from './host-schema.ts';
import { readTls } from './hosts-toml-tls.ts';
import type { HostConfig } from './model.ts';
import type { Reading } from './reading.ts';

export const everything: readonly Capability[] = ['pull', 'resolve', 'referrers'];

/** The longest time that a timer takes. */
const longestTime = 2 ** 31 - 1;

type Texts = Found<readonly Found<string>[]>;

/** A text, or a list of texts. */
const texts: Decoder<Texts> = (found, reading) => {
  if (found.value.kind === 'list') return listOf(text)(found, reading);
  const one = text(found, reading);
  return one && { ...one, value: [one] };
};

/** A file with certificate and key, a list of them, or a list of pairs of files. */
const clients: Decoder<Found<readonly Texts[]>> = (found, reading) => {
  if (found.value.kind === 'list') return listOf(texts)(found, reading);
  const one = texts(found, reading);
  return one && { ...one, value: [one] };
};

/** Header values, which may be secret, several joined as one. */
const headerValue: Decoder<Found<string>> = (found, reading) => {
  const items = found.value.kind === 'list' ? found.value.items : [found.value];
  const values = items.map((item) =>
    item.kind === 'scalar' && typeof item.value === 'string' ? item.value : undefined,
  );
  const isRight = values.every((value) => value !== undefined && /^[\t\x20-\x7e\x80-\xff]*$/.test(value));
  if (isRight) return { ...found, value: values.join(', ') };
  reading.problem(found, 'found a value that is not shown, expected a header value or a list of them');
  return undefined;
};

const hostKeys = {
  capabilities: listOf(text),
  ca: texts,
  client: clients,
  skip_verify: flag,
  header: namesOf(headerValue),
  override_path: flag,
  dial_timeout: textLike('5s'),
  rewrite: namesOf(text),
};

/** What a host, or the root for its server, says. */
export type HostTable = Decoded<typeof hostKeys>;

/** Tables by URL. The URL's secrets are kept out of the key path that problems are told with. */
const hosts: Decoder<Found<readonly Named<HostTable>[]>> = (found, reading) => {
  if (found.value.kind !== 'table') return namesOf(tableOf(hostKeys))(found, reading);
  const value = [...found.value.entries].flatMap(([key, { at, value: node }]) => {
    const table = tableOf(hostKeys)({ at, value: node, path: [...found.path, shownUrl(key)] }, reading);
    return table ? [{ ...table, key }] : [];
  });
  return { ...found, value };
};

export const readRoot = (root: TableNode, reading: Reading) =>
  tableOf({ server: text, host: hosts, ...hostKeys })({ value: root as DocumentNode, at: root.at, path: [] }, reading)
    ?.value ?? {};

/** What the model says of a host beside its URL. */
export function readSettings(table: HostTable, directory: string, reading: Reading): Omit<HostConfig, 'url'> {
  const headers = readHeaders(table.header?.value ?? [], reading);
  const rewrites = readRules(table.rewrite?.value ?? [], reading);
  const capabilities = readCapabilities(table.capabilities?.value ?? [], reading);
  const connectTimeout = readTimeout(table.dial_timeout, reading);
  const tls = readTls(table, directory, reading);
  return {
    ...(table.override_path?.value && { overridePath: true }),
    ...(capabilities && { capabilities }),
    ...(rewrites.length > 0 && { rewrites }),
    ...(headers && { headers }),
    ...(tls && { tls }),
    ...(connectTimeout !== undefined && { connectTimeout }),
  };
}

/** None written are all; `push` is known, and there is nothing here that pushes to a mirror. */
function readCapabilities(written: readonly Found<string>[], reading: Reading): Capability[] | undefined {
  const known = [...everything, 'push'];
  for (const found of written) {
    if (known.includes(found.value.toLowerCase())) continue;
    const near = nearest(found.value, known);
    const hint = near === undefined ? 'expected "pull", "resolve", "push" or "referrers"' : `did you mean "${near}"?`;
    reading.problem(found, `found ${quote(found.value)}, ${hint}`);
  }
  const lower = written.map(({ value }) => value.toLowerCase());
  return written.length === 0 ? undefined : everything.filter((capability) => lower.includes(capability));
}

function readHeaders(written: readonly Named<string>[], reading: Reading): Record<string, string> | undefined {
  const names = new Set<string>();
  for (const header of written) {
    const name = header.key.toLowerCase();
    const fault = headerNameFault(header.key);
    if (fault !== undefined) reading.problem(header, `found ${quote(header.key)}, ${fault}`);
    if (names.has(name)) reading.problem(header, 'found the same header again, expected once');
    names.add(name);
  }
  return written.length === 0 ? undefined : Object.fromEntries(written.map(({ key, value }) => [key, value]));
}

function readTimeout(written: Found<string> | undefined, reading: Reading): number | undefined {
  if (!written || written.value === '') return undefined;
  const milliseconds = parseGoDuration(written.value);
  if (milliseconds === 0) reading.warn(written, 'not used, a host always has a limit; the default one applies');
  else if (milliseconds !== undefined && milliseconds > 0 && milliseconds <= longestTime)
    return Math.ceil(milliseconds);
  else
    reading.problem(written, `found ${quote(written.value)}, expected a duration above 0 such as "500ms" or "1m30s"`);
  return undefined;
}
