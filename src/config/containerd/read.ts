import type { Capability } from '../../endpoint.ts';
import { apiOrigin } from '../../oci/reference.ts';
import { rootOf } from '../../oci/registry.ts';
import { nearest, quote } from '../../text/quote.ts';
import {
  type Decoded,
  flag,
  listOf,
  type Named,
  namesOf,
  type Placed,
  tableOf,
  text,
  textLike,
  type ValueDecoder,
} from '../document/decoders.ts';
import type { DocumentNode, TableNode } from '../document/document.ts';
import { createFileReport, type FileReport, type KeyPlace, type ParsedFile } from '../document/file-report.ts';
import { apiHost, below, readRules, shownUrl } from '../document/parts.ts';
import { parseToml } from '../document/toml.ts';
import type { HostConfig, OriginConfig, TlsConfig } from '../model.ts';
import { allCapabilities } from '../model.ts';
import { urlProblem } from '../registry-keys.ts';
import { headerNameProblem } from '../schema.ts';

/** Where a `hosts.toml` was found. */
export interface HostsTomlPlace {
  /** As messages name it. */
  readonly file: string;
  /** What its relative paths are relative to. */
  readonly directory: string;
  /** The registry that it is for; `*` for the one in `_default`. */
  readonly registry: string;
}

interface HostsTomlContext extends HostsTomlPlace {
  readonly report: FileReport;
}

/**
 * Reads containerd's `hosts.toml`: its hosts in the file's order, then `server`, or the registry itself if it has
 * none. A `server` that is also one of the hosts is contacted once. Rewrites are those of k3s' containerd. `INVALID_CONFIG`
 * with all problems: containerd ignores a file that it cannot read and contacts the registry itself.
 * https://github.com/containerd/containerd/blob/main/docs/hosts.md
 */
export function readHostsToml(toml: string, place: HostsTomlPlace): ParsedFile {
  const context = { ...place, report: createFileReport(place.file) };
  const { server, host, ...table } = readRoot(parseToml(toml, place.file, context.report.duplicate), context.report);
  const mirrors = (host?.value ?? []).flatMap((entry) => readHost(entry.key, entry, entry.value, context) ?? []);
  const origin =
    server === undefined || server.value === ''
      ? readDefaultOrigin(table, context)
      : withoutRepeat(readHost(server.value, server, table, context), mirrors);
  const registry = {
    ...(mirrors.length > 0 && { mirrors }),
    ...(origin !== undefined && { origin }),
    declaredAt: `${place.file}:1`,
  };
  return context.report.end({ registries: { [place.registry]: registry } });
}

function readHost(
  written: string,
  place: KeyPlace,
  table: HostTable,
  context: HostsTomlContext,
): HostConfig | undefined {
  const { report, directory } = context;
  const url = readUrl(written, place, report);
  const { tls, ...settings } = readSettings(table, directory, report);
  const isHttp = url?.startsWith('http:');
  for (const found of isHttp ? [table.ca, table.client, table.skip_verify] : []) {
    if (found) report.warn(found, 'not used, the URL of the host is http');
  }
  return url === undefined
    ? undefined
    : { url, ...settings, ...(tls && !isHttp && { tls }), declaredAt: report.line(place) };
}

/** The URL with a scheme and a normalized path. The resolver appends `/v2` if it is missing. */
function readUrl(written: string, place: KeyPlace, report: FileReport): string | undefined {
  const url = written.includes('://') ? written : `https://${written}`;
  const problem = urlProblem(url);
  if (problem !== undefined) {
    report.problem(place, `found ${quote(shownUrl(written))}, ${problem}`);
    return undefined;
  }
  const { origin, pathname } = apiHost(new URL(url));
  return origin + pathname.replace(/\/{2,}/g, '/').replace(/\/$/, '');
}

/**
 * The registry itself, if keys before the hosts configure it. In `_default` that is each registry at its own address.
 * https://github.com/containerd/containerd/blob/main/core/remotes/docker/config/hosts.go
 */
function readDefaultOrigin(
  table: HostTable,
  { registry, directory, report, file }: HostsTomlContext,
): OriginConfig | undefined {
  for (const found of [table.capabilities, table.override_path, table.rewrite]) {
    if (found) report.warn(found, 'not used without a server');
  }
  const { tls, headers, connectTimeout } = readSettings(table, directory, report);
  const settings = { ...(tls && { tls }), ...(headers && { headers }), ...(connectTimeout && { connectTimeout }) };
  if (Object.keys(settings).length === 0) return undefined;
  const url = apiOrigin(registry, (tls?.ca ?? tls?.cert) !== undefined);
  return { ...(!registry.includes('*') && { url }), ...settings, declaredAt: `${file}:1` };
}

/** A server that is also a host keeps only the capabilities that it has not as a host; `never` if none are left. */
function withoutRepeat(
  server: HostConfig | undefined,
  mirrors: readonly HostConfig[],
): HostConfig | 'never' | undefined {
  if (!server || server.rewrites) return server;
  const same = mirrors.filter((mirror) => rootOf(mirror) === rootOf(server) && !mirror.rewrites);
  if (same.length === 0) return server;
  const covered = same.flatMap(({ capabilities = allCapabilities }) => capabilities);
  const capabilities = (server.capabilities ?? allCapabilities).filter((capability) => !covered.includes(capability));
  return capabilities.length === 0 ? 'never' : { ...server, capabilities };
}

type Texts = Placed<readonly Placed<string>[]>;

/** A text, or a list of texts. */
const texts: ValueDecoder<Texts> = (found, report) => {
  if (found.value.kind === 'list') return listOf(text)(found, report);
  const one = text(found, report);
  return one && { ...one, value: [one] };
};

/** A file with certificate and key, a list of them, or a list of pairs of files. */
const clients: ValueDecoder<Placed<readonly Texts[]>> = (found, report) => {
  if (found.value.kind === 'list') return listOf(texts)(found, report);
  const one = texts(found, report);
  return one && { ...one, value: [one] };
};

/** Header values, which may be secret, several joined as one. */
const headerValue: ValueDecoder<Placed<string>> = (found, report) => {
  const items = found.value.kind === 'list' ? found.value.items : [found.value];
  const values = items.map((item) =>
    item.kind === 'scalar' && typeof item.value === 'string' ? item.value : undefined,
  );
  const isRight = values.every((value) => value !== undefined && /^[\t\x20-\x7e\x80-\xff]*$/.test(value));
  if (isRight) return { ...found, value: values.join(', ') };
  report.problem(found, 'found a value that is not shown, expected a header value or a list of them');
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

/** The settings of a host, or at the root those of its `server`. */
type HostTable = Decoded<typeof hostKeys>;

/** Tables by URL. Key paths of problems have the URL without its secrets. */
const hosts: ValueDecoder<Placed<readonly Named<HostTable>[]>> = (found, report) => {
  if (found.value.kind !== 'table') return namesOf(tableOf(hostKeys))(found, report);
  const value = [...found.value.entries].flatMap(([key, { at, value: node }]) => {
    const table = tableOf(hostKeys)({ at, value: node, path: [...found.path, shownUrl(key)] }, report);
    return table ? [{ ...table, key }] : [];
  });
  return { ...found, value };
};

const readRoot = (root: TableNode, report: FileReport) =>
  tableOf({ server: text, host: hosts, ...hostKeys })({ value: root as DocumentNode, at: root.at, path: [] }, report)
    ?.value ?? {};

/** The settings of a host other than its URL. */
function readSettings(table: HostTable, directory: string, report: FileReport): Omit<HostConfig, 'url'> {
  const headers = readHeaders(table.header?.value ?? [], report);
  const rewrites = readRules(table.rewrite?.value ?? [], report);
  const capabilities = readCapabilities(table.capabilities?.value ?? [], report);
  const connectTimeout = readTimeout(table.dial_timeout, report);
  const tls = readTls(table, directory, report);
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
function readCapabilities(written: readonly Placed<string>[], report: FileReport): Capability[] | undefined {
  const known = [...allCapabilities, 'push'];
  for (const found of written) {
    if (known.includes(found.value.toLowerCase())) continue;
    const near = nearest(found.value, known);
    const hint = near === undefined ? 'expected "pull", "resolve", "push" or "referrers"' : `did you mean "${near}"?`;
    report.problem(found, `found ${quote(found.value)}, ${hint}`);
  }
  const lower = written.map(({ value }) => value.toLowerCase());
  return written.length === 0 ? undefined : allCapabilities.filter((capability) => lower.includes(capability));
}

function readHeaders(written: readonly Named<string>[], report: FileReport): Record<string, string> | undefined {
  const names = new Set<string>();
  for (const header of written) {
    const name = header.key.toLowerCase();
    const problem = headerNameProblem(header.key);
    if (problem !== undefined) report.problem(header, `found ${quote(header.key)}, ${problem}`);
    if (names.has(name)) report.problem(header, 'found a duplicate header, expected it once');
    names.add(name);
  }
  return written.length === 0 ? undefined : Object.fromEntries(written.map(({ key, value }) => [key, value]));
}

/** The longest time that a timer takes. */
const longestTime = 2 ** 31 - 1;

function readTimeout(written: Placed<string> | undefined, report: FileReport): number | undefined {
  if (!written || written.value === '') return undefined;
  const milliseconds = parseGoDuration(written.value);
  if (milliseconds === 0) report.warn(written, 'not used, a host always has a limit; the default one applies');
  else if (milliseconds !== undefined && milliseconds > 0 && milliseconds <= longestTime)
    return Math.ceil(milliseconds);
  else report.problem(written, `found ${quote(written.value)}, expected a duration above 0 such as "500ms" or "1m30s"`);
  return undefined;
}

/** Milliseconds of Go's units. */
const units: ReadonlyMap<string, number> = new Map([
  ['ns', 1e-6],
  ['us', 1e-3],
  // The micro sign and the Greek letter.
  ['\u00b5s', 1e-3],
  ['\u03bcs', 1e-3],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/**
 * The milliseconds of a duration as Go writes it: `300ms`, `-1.5h`, `2h45m`, `0`; undefined for any other text.
 * https://pkg.go.dev/time#ParseDuration
 */
export function parseGoDuration(text: string): number | undefined {
  const [, sign = '', rest = ''] = /^([-+]?)(.*)$/s.exec(text) ?? [];
  if (rest === '0') return 0;
  let milliseconds = 0;
  let end = 0;
  for (const [part, amount = '', unit = ''] of rest.matchAll(/(\d+(?:\.\d*)?|\.\d+)([a-z\u00b5\u03bc]+)/gy)) {
    const factor = units.get(unit);
    if (factor === undefined) return undefined;
    milliseconds += Number(amount) * factor;
    end += part.length;
  }
  if (end === 0 || end < rest.length) return undefined;
  return sign === '-' ? -milliseconds : milliseconds;
}

/** The TLS settings of a host; paths are relative to a directory. */
function readTls({ ca, client, skip_verify }: HostTable, directory: string, report: FileReport): TlsConfig | undefined {
  const [first, ...others] = client?.value ?? [];
  for (const pair of [first, ...others]) {
    if (pair && (pair.value.length === 0 || pair.value.length > 2))
      report.problem(pair, 'expected a file or a pair of files');
  }
  if (client && others.length > 0) report.warn(client, 'only the first client certificate is used');
  const [cert, key] = first?.value ?? [];
  const tls = {
    ...(ca && ca.value.length > 0 && { ca: ca.value.map(({ value }) => below(directory, value)) }),
    // One file may hold both.
    ...(cert && { cert: below(directory, cert.value), key: below(directory, key?.value || cert.value) }),
    ...(skip_verify?.value && { insecureSkipVerify: true }),
  };
  const declaredAt = report.declarations({
    ...Object.fromEntries((ca?.value ?? []).map((found, index) => [`ca[${index}]`, found])),
    cert,
    key: key?.value ? key : cert,
    insecureSkipVerify: skip_verify?.value ? skip_verify : undefined,
  });
  return Object.keys(tls).length > 0 ? { ...tls, declaredAt } : undefined;
}
