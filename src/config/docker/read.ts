import type { CredentialHelpers, Login } from '../../login.ts';
import { type ProxyConfig, proxyProblem, proxyUrl } from '../../proxy.ts';
import { keyText, nearest, quote } from '../../text/quote.ts';
import {
  anything,
  type Decoded,
  inKnownCase,
  type Named,
  namesOf,
  type Placed,
  secret,
  tableOf,
  text,
} from '../document/decoders.ts';
import type { TableNode } from '../document/document.ts';
import { createFileReport, type FileReport, type ParsedFile } from '../document/file-report.ts';
import { parseJson } from '../document/json.ts';
import { decodeAuth, hubServer, isDockersOwn, parseLoginKey } from './login-keys.ts';

/** What a file that holds logins was understood to say. */
export interface LoginsRead extends ParsedFile {
  /** The programs to run for logins before `config.credentials` are used; what `helperCredentials` takes. */
  readonly helpers: CredentialHelpers;
}

/** An entry of `auths`. */
export const dockerAuth = {
  auth: secret,
  username: secret,
  password: secret,
  identitytoken: secret,
  registrytoken: secret,
  // Written by old versions, and never used for logging in.
  email: anything,
  serveraddress: anything,
};

type Auth = Named<Decoded<typeof dockerAuth>>;

const proxy = { httpProxy: secret, httpsProxy: secret, allProxy: secret, noProxy: text, ftpProxy: anything };

/** What Docker and Podman do not know, they ignore; they read keys in any letter case. */
const rules = { anyCase: true, isOpen: true };

const used = {
  auths: namesOf(tableOf(dockerAuth, rules)),
  credHelpers: namesOf(text),
  credsStore: text,
  HttpHeaders: anything,
  proxies: namesOf(tableOf(proxy, rules)),
};

/** What Docker knows and registries do not concern: how its program prints, its plugins, its daemons. */
const elsewhere = (
  'aliases cliPluginsExtraDirs composeFormat configFormat containersFormat currentContext detachKeys experimental ' +
  'features imagesFormat kubernetes networksFormat nodesFormat plugins pluginsFormat pruneFilters psFormat ' +
  'secretFormat serviceInspectFormat servicesFormat stackOrchestrator statsFormat swarmFormat tasksFormat volumesFormat'
).split(' ');

/**
 * Reads Docker's `config.json`, and Podman's `auth.json`, which has the same form: logins, credential helpers, and the
 * proxies named `default`. A key with a path (`quay.io/team`) is the login of the repositories below it. Keys that have
 * nothing to do with registries are passed over. As for Docker, the letter case of keys does not matter, and unknown keys
 * and names that are not hosts are not used, with a warning. An empty text is an empty file. `INVALID_CONFIG` with all
 * problems.
 * https://docs.docker.com/reference/cli/docker/#configuration-files
 * https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md
 */
export function readDockerConfig(json: string, { file }: { readonly file: string }): LoginsRead {
  const report = createFileReport(file);
  if (json.trim() === '') return { ...report.end({}), helpers: {} };
  const root = onRegistries(parseJson(json, file, report.duplicate), report);
  const read = tableOf(used)({ value: root, at: root.at, path: [] }, report)?.value ?? {};
  if (read.HttpHeaders) {
    report.warn(
      read.HttpHeaders,
      'not used, Docker sends them to its daemon; a host of a registry has headers of its own',
    );
  }
  const helpers = readHelpers(read, report);
  const credentials = readLogins(read.auths?.value ?? [], helpers, report);
  const proxies = read.proxies?.value.flatMap((entry) => readProxy(entry, report)) ?? [];
  const config = { ...(credentials && { credentials }), ...(proxies[0] && { proxy: proxies[0] }) };
  return { ...report.end(config), helpers };
}

/** The keys that are used; of the others, those are warnings that Docker does not know either. */
function onRegistries(root: TableNode, report: FileReport): TableNode {
  const others = new Set(elsewhere);
  const known = inKnownCase(root, [...Object.keys(used), ...elsewhere]);
  const entries = [...known.entries].filter(([key, { at }]) => {
    if (Object.hasOwn(used, key)) return true;
    if (!others.has(key)) report.warn({ at, path: [key] }, () => `not used, ${unknownKey(key)}`);
    return false;
  });
  return { ...root, entries: new Map(entries) };
}

function unknownKey(key: string): string {
  const names = Object.keys(used);
  const near = nearest(key, [...names, ...elsewhere]);
  const hint =
    near === undefined ? `expected ${names.join(', ')}, or another of Docker's` : `did you mean ${quote(near)}?`;
  return `unknown key ${quote(keyText(key))}, ${hint}`;
}

function readHelpers({ credsStore, credHelpers }: Decoded<typeof used>, report: FileReport): CredentialHelpers {
  const byHost = new Map<string, string>();
  for (const helper of credHelpers?.value ?? []) {
    checkHelper(helper, report);
    const parsed = parseLoginKey(helper.key);
    if ('problem' in parsed) report.warn(helper, `not used, ${parsed.problem}`);
    else if (parsed.key.includes('/')) report.warn(helper, 'not used, helpers are for hosts and not for paths');
    else if (byHost.has(parsed.key)) report.warn(helper, `not used, ${quote(parsed.key)} has a helper above`);
    else byHost.set(parsed.key, helper.value);
  }
  if (credsStore) checkHelper(credsStore, report);
  return {
    // Empty means none, as for the helper of a host.
    ...(credsStore?.value && { credsStore: credsStore.value }),
    ...(byHost.size > 0 && { credHelpers: Object.fromEntries(byHost) }),
  };
}

function checkHelper(helper: Placed<string>, report: FileReport): void {
  if (/^[A-Za-z0-9._-]*$/.test(helper.value)) return;
  report.problem(
    helper,
    `found ${quote(helper.value)}, expected the end of a name, docker-credential-*, without a path`,
  );
}

/** The login of each key; of several keys for one host, the one that Docker itself would use. */
export function readLogins(
  auths: readonly Auth[],
  helpers: CredentialHelpers,
  report: FileReport,
): Record<string, Login> | undefined {
  const rank = ({ key }: Auth): number => (key === hubServer ? 0 : key.includes('://') ? 2 : 1);
  const logins = new Map<string, Login>();
  for (const entry of [...auths].sort((a, b) => rank(a) - rank(b))) {
    const parsed = parseLoginKey(entry.key);
    if ('problem' in parsed) {
      // No reference has such a host, so no pull needs the login.
      report.warn(entry, `not used, ${parsed.problem}`);
      continue;
    }
    const login = loginOf(entry, helpers, report);
    if (isDockersOwn(entry.key)) report.warn(entry, 'not used, a login of Docker for itself');
    else if (login && logins.has(parsed.key)) report.warn(entry, `not used, ${quote(parsed.key)} has another login`);
    else if (login) logins.set(parsed.key, login);
  }
  return logins.size > 0 ? Object.fromEntries(logins) : undefined;
}

function loginOf(entry: Auth, helpers: CredentialHelpers, report: FileReport): Login | undefined {
  const { auth: pair, username, password, identitytoken, registrytoken } = entry.value;
  if (identitytoken?.value) return { identityToken: identitytoken.value };
  if (registrytoken?.value) return { registryToken: registrytoken.value };
  if (pair?.value) {
    const login = decodeAuth(pair.value);
    if (!login) report.problem(pair, 'found a text that is not shown, expected user:password in base64');
    return login;
  }
  if (username?.value && password?.value) return { username: username.value, password: password.value };
  // Docker and Podman write an empty entry if a helper keeps the login.
  const isMarker = Object.keys(entry.value).length === 0 && (helpers.credsStore ?? helpers.credHelpers) !== undefined;
  if (!isMarker) report.warn(entry, 'not used, it holds no login');
  return undefined;
}

function readProxy(entry: Named<Decoded<typeof proxy>>, report: FileReport): ProxyConfig[] {
  const { httpProxy, httpsProxy, allProxy, noProxy, ftpProxy } = entry.value;
  if (entry.key !== 'default') {
    report.warn(entry, 'not used, it is for one Docker daemon; those named "default" are');
    return [];
  }
  if (ftpProxy) report.warn(ftpProxy, 'not used, registries do not speak ftp');
  for (const url of [httpProxy, httpsProxy, allProxy]) {
    const problem = url?.value ? proxyProblem(url.value) : undefined;
    if (url && problem !== undefined) report.problem(url, problem);
  }
  const no = noProxy?.value.split(',').flatMap((host) => host.trim() || []) ?? [];
  const read = {
    ...(httpProxy?.value && { http: proxyUrl(httpProxy.value) }),
    ...(httpsProxy?.value && { https: proxyUrl(httpsProxy.value) }),
    ...(allProxy?.value && { all: proxyUrl(allProxy.value) }),
    ...(no.length > 0 && { no }),
  };
  return Object.keys(read).length > 0 ? [read] : [];
}
