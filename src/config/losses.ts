import type { CredentialHelpers } from '../login.ts';
import type { Config, OriginConfig, TlsConfig } from './model.ts';
import { isPath } from './pem.ts';

/** A configuration in another format. */
export interface Written {
  /** Paths are relative to the directory that the format is read from: `docker.io/hosts.toml`. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
  /** What the format has no words for, each with its key path. No secret is in it. */
  readonly unexpressed: readonly string[];
}

/** Something of a configuration that a format cannot express. */
export interface Loss {
  /** Its key path. */
  readonly path: string;
  readonly why: string;
  /** A registry whose hosts it concerns, other than that of the key path. */
  readonly registry?: string | undefined;
}

/** The files of a format, and what was lost. */
export interface WrittenFiles extends Pick<Written, 'files'> {
  readonly losses: readonly Loss[];
}

/** Collects what a format cannot express. */
export type ReportLoss = (path: string, why: string, registry?: string) => void;

export const keyPath = (name: string, key: string): string => `${name}[${JSON.stringify(key)}]`;

/** Parts of the model that are about no single registry, and that formats of mirrors have no place for. */
export function reportUnrelated(
  { credentials, proxy, shortNames, allowPrivate, timeouts, retries, limits }: Config,
  report: ReportLoss,
  hasLogins = false,
): void {
  const logins = typeof credentials === 'function' ? [] : Object.keys(credentials ?? {});
  if (typeof credentials === 'function') report('credentials', 'it cannot express a program that provides logins');
  else if (!hasLogins) for (const key of logins) report(keyPath('credentials', key), 'it cannot express logins');
  if (proxy) report('proxy', 'it cannot express proxies: set HTTPS_PROXY and NO_PROXY where it is used');
  if (allowPrivate) report('allowPrivate', 'it cannot allow private addresses');
  if (shortNames) report('shortNames', 'it cannot express short names');
  for (const [name, setting] of Object.entries({ timeouts, retries, limits }))
    if (setting) report(name, 'it cannot express limits of a client');
}

/** The logins that can be written, and a text for each credential helper, which cannot. */
export function writtenCredentials(credentials: Config['credentials']): {
  readonly credentials: Config['credentials'];
  readonly unwritten: readonly string[];
} {
  if (typeof credentials !== 'function' || !(credentials.logins ?? credentials.helpers))
    return { credentials, unwritten: [] };
  const { logins, helpers = [] } = credentials;
  return { credentials: logins, unwritten: [...new Set(helpers.flatMap(helperNames))] };
}

function helperNames({ credsStore, credHelpers = {} }: CredentialHelpers): string[] {
  const unwritten = (path: string, name: string): string[] =>
    name === '' ? [] : [`${path}: it cannot express helper docker-credential-${name}`];
  return [
    ...Object.entries(credHelpers).flatMap(([host, name]) => unwritten(keyPath('credentials', host), name)),
    ...unwritten('credentials', credsStore ?? ''),
  ];
}

/** Limits of a host that formats of mirrors have no words for. */
export function reportLimits(
  { allowPrivate, omitNamespace, requestsPerSecond, concurrency }: OriginConfig,
  path: string,
  report: ReportLoss,
): void {
  if (allowPrivate) report(`${path}.allowPrivate`, 'it cannot allow private addresses');
  if (omitNamespace) report(`${path}.omitNamespace`, 'it cannot leave out "ns"');
  if (requestsPerSecond !== undefined) report(`${path}.requestsPerSecond`, 'it cannot limit requests');
  if (concurrency !== undefined) report(`${path}.concurrency`, 'it cannot limit requests');
}

/** The TLS settings that name files, which is all that other formats have. */
export function fileTls(
  { ca = [], cert, key, insecureSkipVerify }: TlsConfig,
  path: string,
  report: ReportLoss,
): TlsConfig {
  const isUsable = (text: string, name: string): boolean => {
    const isFile = isPath(text);
    if (!isFile) report(`${path}.${name}`, 'it takes files, not PEM text');
    else if (!/^(?:[\\/]|[A-Za-z]:[\\/])/.test(text))
      report(`${path}.${name}`, 'the path is relative to another directory');
    return isFile;
  };
  const files = ca.filter((text, index) => isUsable(text, `ca[${index}]`));
  if ((cert === undefined) !== (key === undefined)) report(path, 'a client certificate needs both cert and key');
  const hasPair = cert !== undefined && key !== undefined && isUsable(cert, 'cert') && isUsable(key, 'key');
  return {
    ...(files.length > 0 && { ca: files }),
    ...(hasPair && { cert, key }),
    ...(insecureSkipVerify && { insecureSkipVerify }),
  };
}

/** Entries without those of duplicate keys: of rules with one pattern only the first is ever used. */
export function firsts(entries: readonly (readonly [string, string])[]): [string, string][] {
  const unique = new Map<string, string>();
  for (const [key, value] of entries) if (!unique.has(key)) unique.set(key, value);
  return [...unique];
}
