import type { CredentialHelpers, Login } from '../../login.ts';
import { hostProblem } from '../../oci/registry.ts';
import { quote } from '../../text/quote.ts';
import { hubServer } from '../docker/login-keys.ts';
import type { LoginsRead } from '../docker/read.ts';
import { anything, type Decoded, namesOf, number, type Placed, tableOf } from '../document/decoders.ts';
import { createFileReport, type FileReport } from '../document/file-report.ts';
import { parseJson } from '../document/json.ts';
import type { RegistryConfig } from '../model.ts';
import { normalizeKey } from '../registry-keys.ts';
import { hostOf, type NamedHost, type RegctlHost, regctlHost, regctlName, registryOf } from './hosts.ts';

const root = {
  version: number,
  hosts: namesOf(tableOf(regctlHost, { anyCase: true })),
  hostDefault: tableOf(regctlHost, { anyCase: true }),
  blobLimit: anything,
  incDockerCert: anything,
  incDockerCred: anything,
};

/** What regctl knows and this client does not do, and why. */
const unused = {
  credExpire: 'not used, logins of helpers are kept for a fixed time',
  api: 'not used, regctl does not use it any more',
  apiOpts: 'not used, this client has no such options',
  blobChunk: 'not used, it is for pushing',
  blobMax: 'not used, it is for pushing',
  scheme: 'not used, regctl itself uses "tls" instead',
  dns: 'not used, regctl itself uses "hostname" instead',
} as const;

/**
 * Reads regctl's `~/.regctl/config.json`: hosts with their names, TLS, logins, helpers, path prefixes, limits, and
 * mirrors by priority, lowest first. `hostDefault` is for every host of the file; of it, mirrors and helper are for all
 * other hosts too, and a login is for none. An empty text is an empty file. `INVALID_CONFIG` with all problems.
 * https://github.com/regclient/regclient/blob/main/config/host.go
 */
export function readRegctlConfig(json: string, { file }: { readonly file: string }): LoginsRead {
  const report = createFileReport(file);
  if (json.trim() === '') return { ...report.end({}), helpers: {} };
  const table = parseJson(json, file, report.duplicate);
  const read = tableOf(root, { anyCase: true })({ value: table, at: table.at, path: [] }, report)?.value ?? {};
  warnUnused(read, report);
  const defaults = defaultsOf(read, report);
  const byName = new Map<string, NamedHost>();
  for (const entry of read.hosts?.value ?? []) {
    const name = regctlName(entry.key);
    const problem = hostProblem(name);
    // No reference has such a host, so no pull needs it.
    if (problem !== undefined) report.warn(entry, `not used, ${problem}`);
    else if (byName.has(name)) report.problem(entry, `found ${quote(entry.key)}, a duplicate host`);
    else byName.set(name, hostOf(entry, defaults, report));
  }
  const mirrorsOf = (names: readonly Placed<string>[]): NamedHost[] =>
    names.map((mirror) => byName.get(regctlName(mirror.value)) ?? undeclared(mirror, defaults, report));
  const registries = new Map<string, RegistryConfig>();
  for (const host of byName.values()) {
    const registry = registryOf(host, mirrorsOf(host.mirrors));
    if (registry) registries.set(host.name, registry);
  }
  const { mirrors } = read.hostDefault?.value ?? {};
  if (mirrors && mirrors.value.length > 0) {
    registries.set('*', {
      mirrors: mirrorsOf(mirrors.value).map(({ config }) => config),
      declaredAt: report.line(mirrors),
    });
  }
  const { credentials, credHelpers } = readLogins(read.hosts?.value ?? [], byName, report);
  const credsStore = helperOf(read.hostDefault?.value ?? {}, report);
  return {
    ...report.end({
      ...(registries.size > 0 && { registries: Object.fromEntries(registries) }),
      ...(credentials && { credentials }),
    }),
    helpers: { ...(credsStore !== undefined && { credsStore }), ...(credHelpers && { credHelpers }) },
  };
}

/** A mirror without an entry of its own has the defaults. */
function undeclared(mirror: Placed<string>, defaults: RegctlHost['value'], report: FileReport): NamedHost {
  return hostOf({ ...mirror, key: mirror.value, value: {} }, defaults, report);
}

function warnUnused({ hosts, hostDefault, ...top }: Decoded<typeof root>, report: FileReport): void {
  for (const host of [...(hosts?.value ?? []), ...(hostDefault ? [hostDefault] : [])]) {
    for (const [key, why] of Object.entries(unused)) {
      const found = host.value[key as keyof typeof unused];
      if (found) report.warn(found, why);
    }
    const { credHost, clientCert, clientKey } = host.value;
    if (credHost?.value && credHost.value !== hubServer)
      report.warn(credHost, 'not used, helpers get the name of the host');
    if (!clientCert?.value !== !clientKey?.value) report.warn(host, 'clientCert and clientKey are used together only');
  }
  if (top.version && top.version.value > 1) {
    report.problem(top.version, `found ${quote(top.version.value)}, expected 1, the only version that is known`);
  }
  if (top.blobLimit) report.warn(top.blobLimit, 'not used, it is for pushing');
  for (const found of [top.incDockerCert, top.incDockerCred]) {
    if (found) report.warn(found, "not used, Docker's files are read if requested");
  }
}

/** What hosts get that say nothing themselves. A login is not among it: it would go to hosts it was not made for. */
function defaultsOf({ hostDefault }: Decoded<typeof root>, report: FileReport): RegctlHost['value'] {
  if (!hostDefault) return {};
  const { user, pass, token, credHelper, credHost, hostname, mirrors, ...settings } = hostDefault.value;
  for (const login of [user, pass, token]) {
    if (login?.value) report.warn(login, 'not used, a login belongs to one host');
  }
  if (hostname) report.warn(hostname, 'not used, each host has its own');
  for (const found of Object.values(settings)) {
    if (!Object.hasOwn(unused, found.path.at(-1) ?? '')) report.warn(found, 'used for the hosts of this file only');
  }
  return { ...settings, ...(mirrors && { mirrors }) };
}

interface RegctlLogins {
  readonly credentials: Readonly<Record<string, Login>> | undefined;
  readonly credHelpers: CredentialHelpers['credHelpers'];
}

/** Logins and helpers by the host that is contacted; a login is for the path prefix, if there is one. */
export function readLogins(
  hosts: readonly RegctlHost[],
  byName: ReadonlyMap<string, NamedHost>,
  report: FileReport,
): RegctlLogins {
  const logins = new Map<string, Login>();
  const credHelpers = new Map<string, string>();
  for (const entry of hosts) {
    const { hostname = '', pathPrefix = '' } = byName.get(regctlName(entry.key)) ?? {};
    const key = normalizeKey(pathPrefix === '' ? hostname : `${hostname}/${pathPrefix}`);
    const login = loginOf(entry, report);
    if (login && logins.has(key)) report.warn(entry, `its login is not used, ${quote(key)} has one above`);
    else if (login) logins.set(key, login);
    const helper = helperOf(entry.value, report);
    if (helper !== undefined) credHelpers.set(normalizeKey(hostname), helper);
  }
  return {
    credentials: logins.size > 0 ? Object.fromEntries(logins) : undefined,
    credHelpers: credHelpers.size > 0 ? Object.fromEntries(credHelpers) : undefined,
  };
}

function loginOf(entry: RegctlHost, report: FileReport): Login | undefined {
  const { user, pass, token } = entry.value;
  if (token?.value) return { identityToken: token.value };
  if (user?.value && pass?.value) return { username: user.value, password: pass.value };
  if (user?.value || pass?.value) report.warn(entry, 'its login is not used, user and pass are used together only');
  return undefined;
}

/** The helper's name without `docker-credential-`. */
export function helperOf({ credHelper }: RegctlHost['value'], report: FileReport): string | undefined {
  if (!credHelper?.value) return undefined;
  const [, name] = /^docker-credential-([A-Za-z0-9._-]+)$/.exec(credHelper.value) ?? [];
  if (name === undefined) report.warn(credHelper, 'not used, only programs named docker-credential-* on PATH are run');
  return name;
}
