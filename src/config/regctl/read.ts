import type { CredentialHelpers, Login } from '../../login.ts';
import { hostFault } from '../../oci/registry.ts';
import { quote } from '../../text/quote.ts';
import { hubServer } from '../docker/login-keys.ts';
import type { LoginsRead } from '../docker/read.ts';
import { anything, type Decoded, type Found, namesOf, number, tableOf } from '../document/decoders.ts';
import { again, type Reading, startReading } from '../document/file-report.ts';
import { parseJson } from '../document/json.ts';
import type { RegistryConfig } from '../model.ts';
import { normalizeKey } from '../registry-keys.ts';
import { hostOf, type NamedHost, type RegctlHost, regctlHost, regctlName, registryOf } from './hosts.ts';

const root = {
  version: number,
  hosts: namesOf(tableOf(regctlHost)),
  hostDefault: tableOf(regctlHost),
  blobLimit: anything,
  incDockerCert: anything,
  incDockerCred: anything,
};

/** What regctl knows and this client does not do, and why. */
const unused = {
  credExpire: 'not used, answers of helpers are kept for a time of their own',
  api: 'not used, regctl does not use it any more',
  apiOpts: 'not used, there are no options of a registry',
  blobChunk: 'not used, it is for pushing',
  blobMax: 'not used, it is for pushing',
  scheme: 'not used, nor by regctl any more, whose "tls" tells it',
  dns: 'not used, nor by regctl any more, whose "hostname" tells it',
} as const;

/**
 * Reads regctl's `~/.regctl/config.json`: hosts with their names, TLS, logins, helpers, path prefixes, limits, and
 * mirrors by priority, lowest first. `hostDefault` is for every host of the file; of it, mirrors and helper are for all
 * other hosts too, and a login is for none. An empty text is an empty file. `INVALID_CONFIG` with all problems.
 * https://github.com/regclient/regclient/blob/main/config/host.go
 */
export function readRegctlConfig(json: string, { file }: { readonly file: string }): LoginsRead {
  const reading = startReading(file);
  if (json.trim() === '') return { ...reading.end({}), helpers: {} };
  const table = parseJson(json, file, again(reading));
  const read = tableOf(root)({ value: table, at: table.at, path: [] }, reading)?.value ?? {};
  warnUnused(read, reading);
  const defaults = defaultsOf(read, reading);
  const byName = new Map<string, NamedHost>();
  for (const entry of read.hosts?.value ?? []) {
    const name = regctlName(entry.key);
    const fault = hostFault(name);
    if (fault !== undefined) reading.problem(entry, `found ${quote(entry.key)}, ${fault}`);
    else if (byName.has(name)) reading.problem(entry, `found ${quote(entry.key)}, the same host as above`);
    else byName.set(name, hostOf(entry, defaults, reading));
  }
  const mirrorsOf = (names: readonly Found<string>[]): NamedHost[] =>
    names.map((mirror) => byName.get(regctlName(mirror.value)) ?? undeclared(mirror, defaults, reading));
  const registries = new Map<string, RegistryConfig>();
  for (const host of byName.values()) {
    const registry = registryOf(host, mirrorsOf(host.mirrors));
    if (registry) registries.set(host.name, registry);
  }
  const { mirrors } = read.hostDefault?.value ?? {};
  if (mirrors && mirrors.value.length > 0) {
    registries.set('*', {
      mirrors: mirrorsOf(mirrors.value).map(({ config }) => config),
      declaredAt: reading.line(mirrors),
    });
  }
  const { credentials, credHelpers } = readLogins(read.hosts?.value ?? [], byName, reading);
  const credsStore = helperOf(read.hostDefault?.value ?? {}, reading);
  return {
    ...reading.end({
      ...(registries.size > 0 && { registries: Object.fromEntries(registries) }),
      ...(credentials && { credentials }),
    }),
    helpers: { ...(credsStore !== undefined && { credsStore }), ...(credHelpers && { credHelpers }) },
  };
}

/** A mirror that has no entry of its own is asked with the defaults. */
function undeclared(mirror: Found<string>, defaults: RegctlHost['value'], reading: Reading): NamedHost {
  return hostOf({ ...mirror, key: mirror.value, value: {} }, defaults, reading);
}

function warnUnused({ hosts, hostDefault, ...top }: Decoded<typeof root>, reading: Reading): void {
  for (const host of [...(hosts?.value ?? []), ...(hostDefault ? [hostDefault] : [])]) {
    for (const [key, why] of Object.entries(unused)) {
      const found = host.value[key as keyof typeof unused];
      if (found) reading.warn(found, why);
    }
    const { credHost, clientCert, clientKey } = host.value;
    if (credHost?.value && credHost.value !== hubServer)
      reading.warn(credHost, 'not used, helpers are asked for the host');
    if (!clientCert?.value !== !clientKey?.value) reading.warn(host, 'clientCert and clientKey are used together only');
  }
  if (top.version && top.version.value > 1) {
    reading.problem(top.version, `found ${quote(top.version.value)}, expected 1, the only version that is known`);
  }
  if (top.blobLimit) reading.warn(top.blobLimit, 'not used, it is for pushing');
  for (const found of [top.incDockerCert, top.incDockerCred]) {
    if (found) reading.warn(found, "not used, Docker's files are read where they are asked for");
  }
}

/** What hosts get that say nothing themselves. A login is not among it: it would go to hosts it was not made for. */
function defaultsOf({ hostDefault }: Decoded<typeof root>, reading: Reading): RegctlHost['value'] {
  if (!hostDefault) return {};
  const { user, pass, token, credHelper, credHost, hostname, mirrors, ...settings } = hostDefault.value;
  for (const login of [user, pass, token]) {
    if (login?.value) reading.warn(login, 'not used, a login belongs to one host');
  }
  if (hostname) reading.warn(hostname, 'not used, each host has its own');
  for (const found of Object.values(settings)) {
    if (!Object.hasOwn(unused, found.path.at(-1) ?? '')) reading.warn(found, 'used for the hosts of this file alone');
  }
  return { ...settings, ...(mirrors && { mirrors }) };
}

interface Logins {
  readonly credentials: Readonly<Record<string, Login>> | undefined;
  readonly credHelpers: CredentialHelpers['credHelpers'];
}

/** Logins and helpers by the host that is asked; a login below its path prefix, where it has one. */
export function readLogins(
  hosts: readonly RegctlHost[],
  byName: ReadonlyMap<string, NamedHost>,
  reading: Reading,
): Logins {
  const logins = new Map<string, Login>();
  const credHelpers = new Map<string, string>();
  for (const entry of hosts) {
    const { hostname = '', pathPrefix = '' } = byName.get(regctlName(entry.key)) ?? {};
    const key = normalizeKey(pathPrefix === '' ? hostname : `${hostname}/${pathPrefix}`);
    const login = loginOf(entry, reading);
    if (login && logins.has(key)) reading.warn(entry, `its login is not used, ${quote(key)} has one above`);
    else if (login) logins.set(key, login);
    const helper = helperOf(entry.value, reading);
    if (helper !== undefined) credHelpers.set(normalizeKey(hostname), helper);
  }
  return {
    credentials: logins.size > 0 ? Object.fromEntries(logins) : undefined,
    credHelpers: credHelpers.size > 0 ? Object.fromEntries(credHelpers) : undefined,
  };
}

function loginOf(entry: RegctlHost, reading: Reading): Login | undefined {
  const { user, pass, token } = entry.value;
  if (token?.value) return { identityToken: token.value };
  if (user?.value && pass?.value) return { username: user.value, password: pass.value };
  if (user?.value || pass?.value) reading.warn(entry, 'its login is not used, user and pass are used together only');
  return undefined;
}

/** The helper's name without `docker-credential-`. */
export function helperOf({ credHelper }: RegctlHost['value'], reading: Reading): string | undefined {
  if (!credHelper?.value) return undefined;
  const [, name] = /^docker-credential-([A-Za-z0-9._-]+)$/.exec(credHelper.value) ?? [];
  if (name === undefined) reading.warn(credHelper, 'not used, only programs named docker-credential-* on PATH are run');
  return name;
}
