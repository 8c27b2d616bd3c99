import type { Login } from '../../login.ts';
import { hostProblem, normalizeRegistry } from '../../oci/registry.ts';
import { describeValue } from '../../text/quote.ts';
import { decodeAuth } from '../docker/login-keys.ts';
import {
  anything,
  type Decoded,
  listOf,
  type Named,
  namesOf,
  type Placed,
  tableOf,
  type ValueDecoder,
} from '../document/decoders.ts';
import type { DocumentNode } from '../document/document.ts';
import type { FileReport, KeyPlace } from '../document/file-report.ts';
import { below, directoryOf } from '../document/parts.ts';
import type { TlsConfig } from '../model.ts';

/** What `configs` says of a host. */
export interface HostSettings {
  readonly login?: Login | undefined;
  readonly tls?: TlsConfig | undefined;
  readonly at: KeyPlace;
}

/** A text; one that could be a number or a boolean is a text all the same, as YAML's readers in Go have it. */
const yamlText =
  (isSecret: boolean): ValueDecoder<Placed<string>> =>
  (found, report) => {
    const { value: node } = found;
    const value = node.kind === 'scalar' && node.value !== null ? (node.source ?? node.value) : undefined;
    if (typeof value === 'string') return { ...found, value };
    const shown = isSecret ? 'a value that is not shown' : node.kind === 'scalar' ? 'nothing' : `a ${node.kind}`;
    report.problem({ ...found, at: node.at }, `found ${shown}, expected a text`);
    return undefined;
  };

const text = yamlText(false);
const secret = yamlText(true);

/** As YAML 1.1 writes it, which k3s reads: in quotes it is a text, and no boolean. */
const yamlFlag: ValueDecoder<Placed<boolean>> = (found, report) => {
  const { value: node } = found;
  const isText = node.kind === 'scalar' && node.quoted;
  const word = node.kind === 'scalar' && !isText ? (node.source ?? String(node.value)).toLowerCase() : '';
  if (/^(?:y|yes|true|on)$/.test(word)) return { ...found, value: true };
  if (/^(?:n|no|false|off)$/.test(word)) return { ...found, value: false };
  const shown = node.kind === 'scalar' ? describeValue(node.value) : `a ${node.kind}`;
  report.problem(
    { ...found, at: node.at },
    `found ${shown}, expected true or false${isText ? ', without quotes' : ''}`,
  );
  return undefined;
};

/** Tables by name; one that is left empty is a table. */
const tablesOf =
  <Value>(inner: ValueDecoder<Placed<Value>>): ValueDecoder<Placed<readonly Named<Value>[]>> =>
  (found, report) => {
    const { value: node } = found;
    if (node.kind !== 'table') return namesOf(inner)(found, report);
    const entries = [...node.entries].map(([key, entry]) => [key, { ...entry, value: filled(entry.value) }] as const);
    return namesOf(inner)({ ...found, value: { ...node, entries: new Map(entries) } }, report);
  };

const filled = (node: DocumentNode): DocumentNode =>
  node.kind === 'scalar' && node.value === null ? { kind: 'table', at: node.at, entries: new Map() } : node;

const mirrorKeys = { endpoint: listOf(text), rewrite: namesOf(text) };
const authKeys = { username: secret, password: secret, auth: secret, identity_token: secret, token: secret };
const tlsKeys = { ca_file: text, cert_file: text, key_file: text, insecure_skip_verify: yamlFlag };
const configKeys = { auth: tableOf(authKeys), tls: tableOf(tlsKeys) };
const rootKeys = { mirrors: tablesOf(tableOf(mirrorKeys)), configs: tablesOf(tableOf(configKeys)), auths: anything };

export type MirrorTable = Decoded<typeof mirrorKeys>;
type ConfigTable = Decoded<typeof configKeys>;

/** The file's two tables, without entries whose names are not registries. */
export function readRoot(root: DocumentNode, report: FileReport) {
  const { mirrors, configs, auths } =
    tableOf(rootKeys)({ value: filled(root), at: root.at, path: [] }, report)?.value ?? {};
  if (auths) report.warn(auths, 'not used, k3s reads logins from configs');
  const expected = 'expected a registry, host or host:port, or "*"';
  const isRegistry = ({ key }: Named<unknown>): boolean => key === '*' || hostProblem(key) === undefined;
  for (const entry of configs?.value ?? []) if (!isRegistry(entry)) report.warn(entry, `not used, ${expected}`);
  for (const entry of mirrors?.value ?? []) {
    if (isRegistry(entry)) continue;
    // Mirrors that may be meant for a registry are not ignored; of any other no reference has the host.
    const [, host = ''] = /^(?:https?:\/\/)?([^/]*)/i.exec(entry.key) ?? [];
    if (hostProblem(host) === undefined) report.problem(entry, expected);
    else report.warn(entry, `not used, ${expected}`);
  }
  return { mirrors: mirrors?.value.filter(isRegistry), configs: configs?.value.filter(isRegistry) };
}

/** What is configured of each host, by its one spelling; Docker Hub's API host before its name, as k3s has it. */
export function readSettings(
  configs: readonly Named<ConfigTable>[],
  file: string,
  report: FileReport,
): Map<string, HostSettings> {
  const hosts = new Map<string, HostSettings>();
  const isApiHost = ({ key }: Named<unknown>): number => Number(key === 'registry-1.docker.io');
  for (const entry of [...configs].sort((a, b) => isApiHost(b) - isApiHost(a))) {
    const host = normalizeRegistry(entry.key);
    const settings = {
      login: readLogin(entry.value.auth, report),
      tls: readTls(entry.value.tls, file, report),
      at: entry,
    };
    if (hosts.has(host)) report.warn(entry, 'not used, the same host has another entry');
    else hosts.set(host, settings);
  }
  return hosts;
}

function readLogin(auth: ConfigTable['auth'], report: FileReport): Login | undefined {
  const { username, password, auth: pair, identity_token: identityToken, token } = auth?.value ?? {};
  const isGiven = [username, password, pair, identityToken].some((found) => found?.value);
  if (token?.value && !isGiven) return { registryToken: token.value };
  if (token?.value) report.warn(token, 'not used beside another login');
  if (username?.value) return { username: username.value, password: password?.value ?? '' };
  if (password?.value) report.problem(password, 'found a password, expected a username with it');
  if (identityToken?.value) return { identityToken: identityToken.value };
  const login = pair?.value ? decodeAuth(pair.value) : undefined;
  if (pair?.value && !login) report.problem(pair, 'found a text that is not shown, expected user:password in base64');
  return login;
}

function readTls(table: ConfigTable['tls'], file: string, report: FileReport): TlsConfig | undefined {
  const { ca_file: ca, cert_file: cert, key_file: key, insecure_skip_verify: skip } = table?.value ?? {};
  if (cert?.value && !key?.value) report.problem(cert, 'found no key_file, expected one for the certificate');
  if (key?.value && !cert?.value) report.problem(key, 'found no cert_file, expected one for the key');
  const path = (written: string): string => below(directoryOf(file), written);
  const tls = {
    ...(ca?.value && { ca: [path(ca.value)] }),
    ...(cert?.value && { cert: path(cert.value) }),
    ...(key?.value && { key: path(key.value) }),
    ...(skip?.value && { insecureSkipVerify: true }),
  };
  const used = (found: Placed<string | boolean> | undefined) => (found?.value ? found : undefined);
  const places = { 'ca[0]': used(ca), cert: used(cert), key: used(key), insecureSkipVerify: used(skip) };
  return Object.keys(tls).length > 0 ? { ...tls, declaredAt: report.declarations(places) } : undefined;
}
