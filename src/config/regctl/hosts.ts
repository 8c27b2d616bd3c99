import { apiOrigin, nameProblem, normalizeRegistry } from '../../oci/reference.ts';
import { hostProblem } from '../../oci/registry.ts';
import { quote } from '../../text/quote.ts';
import {
  anything,
  type Decoded,
  flag,
  listOf,
  type Named,
  namesOf,
  number,
  type Placed,
  secret,
  text,
} from '../document/decoders.ts';
import type { FileReport } from '../document/file-report.ts';
import type { HostConfig, RegistryConfig, TlsConfig } from '../model.ts';

/** A host as regctl writes it; certificates and keys are PEM texts. */
export const regctlHost = {
  tls: text,
  regcert: secret,
  clientCert: secret,
  clientKey: secret,
  hostname: text,
  user: secret,
  pass: secret,
  token: secret,
  credHelper: text,
  credExpire: anything,
  credHost: text,
  pathPrefix: text,
  mirrors: listOf(text),
  priority: number,
  repoAuth: flag,
  api: anything,
  apiOpts: namesOf(text),
  blobChunk: number,
  blobMax: number,
  reqPerSec: number,
  reqConcurrent: number,
  scheme: anything,
  dns: anything,
};

export type RegctlHost = Named<Decoded<typeof regctlHost>>;

/** A host by the name that references and mirrors give it. */
export interface NamedHost {
  /** `docker.io`, `mirror.example:5000`: the part before the first slash of a reference. */
  readonly name: string;
  /** `host[:port]` that is contacted. */
  readonly hostname: string;
  readonly pathPrefix: string;
  /** Lower comes first. */
  readonly priority: number;
  readonly config: HostConfig;
  readonly mirrors: readonly Placed<string>[];
}

/** The one name of a host: Docker Hub has several. A scheme before it is read by `hostOf`. */
export const regctlName = (key: string): string =>
  key === 'https://index.docker.io/v1/' ? 'docker.io' : normalizeRegistry(key.replace(/^https?:\/\//, ''));

/** A host with its own settings, or the defaults for those that it has not. */
export function hostOf(entry: RegctlHost, defaults: RegctlHost['value'], report: FileReport): NamedHost {
  const name = regctlName(entry.key);
  const own = { ...defaults, ...entry.value };
  const mode = own.tls?.value.toLowerCase() ?? '';
  if (own.tls && !['', 'enabled', 'insecure', 'disabled'].includes(mode)) {
    report.problem(own.tls, `found ${quote(own.tls.value)}, expected "enabled", "insecure" or "disabled"`);
  }
  const hostname = hostnameOf(own.hostname?.value || name);
  const problem = hostProblem(hostname);
  if (problem !== undefined) report.problem(own.hostname ?? entry, `found ${quote(hostname)}, ${problem}`);
  const pathPrefix = own.pathPrefix?.value.replace(/^\/+/, '').replace(/(?<!\/)\/+$/, '') ?? '';
  if (own.pathPrefix && pathPrefix !== '') checkPrefix(own.pathPrefix, pathPrefix, report);
  const isHttp = mode === 'disabled' || (mode === '' && entry.key.startsWith('http://'));
  const tls = tlsOf(own, mode === 'insecure', report);
  const rate = positive(own.reqPerSec, report);
  const concurrency = positive(own.reqConcurrent, report);
  return {
    name,
    hostname,
    pathPrefix,
    priority: own.priority?.value ?? 0,
    mirrors: own.mirrors?.value ?? [],
    config: {
      url: `${isHttp ? 'http' : 'https'}://${hostname}`,
      ...(pathPrefix !== '' && { rewrites: [{ pattern: '^(.+)$', replacement: `${pathPrefix}/$1` }] }),
      ...(tls && { tls }),
      ...(rate !== undefined && { requestsPerSecond: rate }),
      ...(concurrency !== undefined && { concurrency: Math.ceil(concurrency) }),
      declaredAt: report.line(entry),
    },
  };
}

const hostnameOf = (name: string): string => (normalizeRegistry(name) === 'docker.io' ? 'registry-1.docker.io' : name);

function checkPrefix(found: Placed<string>, prefix: string, report: FileReport): void {
  const problem = nameProblem(prefix);
  if (problem !== undefined) report.problem(found, `found ${quote(found.value)}, ${problem}`);
}

/** A limit; 0 means no limit. */
function positive(found: Placed<number> | undefined, report: FileReport): number | undefined {
  if (!found || found.value === 0) return undefined;
  if (found.value > 0) return found.value;
  report.problem(found, `found ${quote(found.value)}, expected a number above 0, or 0 for no limit`);
  return undefined;
}

function tlsOf(own: RegctlHost['value'], isInsecure: boolean, report: FileReport): TlsConfig | undefined {
  const { regcert, clientCert, clientKey } = own;
  const tls: TlsConfig = {
    ...(regcert?.value && { ca: [regcert.value] }),
    ...(clientCert?.value && clientKey?.value && { cert: clientCert.value, key: clientKey.value }),
    ...(isInsecure && { insecureSkipVerify: true }),
  };
  const places = {
    'ca[0]': tls.ca ? regcert : undefined,
    cert: tls.cert ? clientCert : undefined,
    key: tls.key ? clientKey : undefined,
    insecureSkipVerify: isInsecure ? own.tls : undefined,
  };
  return Object.keys(tls).length > 0 ? { ...tls, declaredAt: report.declarations(places) } : undefined;
}

/**
 * A host and its mirrors as a registry: those of the lowest priority first, then in the file's order, the host itself
 * after the mirrors of its own priority. Mirrors of a higher one come after it. Of one priority regctl has no order: its
 * sort, as of 0.11, takes the last first. Undefined if the host has no settings other than those of its registry.
 * https://github.com/regclient/regclient/blob/main/internal/reghttp/http.go (sortHostsCmp)
 */
export function registryOf(host: NamedHost, mirrors: readonly NamedHost[]): RegistryConfig | undefined {
  const { declaredAt, url, ...settings } = host.config;
  if (mirrors.length === 0 && Object.keys(settings).length === 0 && url === apiOrigin(host.name)) return undefined;
  const sorted = [...mirrors, host].sort((a, b) => a.priority - b.priority);
  const configs = sorted.map(({ config }) => config);
  if (sorted.at(-1) === host) return { mirrors: configs.slice(0, -1), origin: host.config, declaredAt };
  return { mirrors: configs, origin: 'never', declaredAt };
}
