import { resolve } from 'node:path';
import type { Given } from '../command.ts';
import { helperAdvice } from '../login-helpers.ts';
import type { Examined } from './examine.ts';
import type { Step } from './probes.ts';

/** How the tool whose file declares a host names its settings. */
interface Settings {
  readonly ca: string;
  readonly skip: string;
  readonly url: string;
  readonly login: string;
  /** The client's own certificate. */
  readonly client: string;
}

const ownSettings: Settings = {
  ca: 'tls.ca',
  skip: 'tls.insecureSkipVerify: true',
  url: 'url',
  login: 'credentials',
  client: 'tls.cert and tls.key',
};

/** By the end of the file's name. */
const settingsByFile: readonly (readonly [RegExp, Settings])[] = [
  [
    /hosts\.toml$/,
    { ca: 'ca', skip: 'skip_verify = true', url: '[host."…"]', login: 'docker login', client: 'client' },
  ],
  [
    /registries\.ya?ml$/,
    {
      ca: 'configs."HOST".tls.ca_file',
      skip: 'configs."HOST".tls.insecure_skip_verify: true',
      url: 'endpoint',
      login: 'configs."HOST".auth',
      client: 'cert_file and key_file of configs."HOST".tls',
    },
  ],
  [
    /\.conf$/,
    {
      ca: 'certs.d/HOST/ca.crt',
      skip: 'insecure = true',
      url: 'location',
      login: 'podman login',
      client: 'client.cert and client.key in certs.d/HOST',
    },
  ],
  [
    /^(?=.*\.regctl).*\.json$/s,
    {
      ca: 'regcert',
      skip: 'tls: insecure',
      url: 'hostname',
      login: 'regctl registry login',
      client: 'clientCert and clientKey',
    },
  ],
];

/** Paths that flags name → the usual names of such files. */
export type FileNames = ReadonlyMap<string, string>;

export function usualNames({ texts }: Given): FileNames {
  const names = {
    'registries-yaml': 'registries.yaml',
    'registries-conf': 'registries.conf',
    'regctl-config': '.regctl/config.json',
  };
  return new Map(Object.entries(names).map(([flag, name]) => [resolve(texts[flag] ?? name), name]));
}

/** The settings to change and where; for a host that no file declares, the settings to write. */
function settingsOf({ declaredAt, url }: Pick<Examined['endpoint'], 'declaredAt' | 'url'>, names: FileNames) {
  const host = new URL(url).host.replace(/^registry-1\.docker\.io$/, 'docker.io');
  if (declaredAt === undefined) {
    const tls = `registries["${host}"].origin.tls`;
    const settings = {
      ...ownSettings,
      ca: `${tls}.ca`,
      skip: `${tls}.insecureSkipVerify: true`,
      url: 'the reference',
      client: `${tls}.cert and key`,
    };
    return { settings, where: "in ocifetch's own file" };
  }
  const file = declaredAt.replace(/(?::\d{1,9}){1,2}$/, '');
  const found = settingsByFile.find(([name]) => name.test(names.get(file) ?? file))?.[1] ?? ownSettings;
  const where = `at ${declaredAt}`;
  const named = (setting: string): string => setting.replace('HOST', host);
  const { ca, skip, url: address, login, client } = found;
  return {
    settings: {
      ca: named(ca),
      skip: named(skip),
      url: `${address} ${where}`,
      login: named(login),
      client: named(client),
    },
    where,
  };
}

/** What to do about a host that does not serve; undefined if there is nothing to do. */
export function adviceOf(examined: Examined, names: FileNames = new Map()): string | undefined {
  const { steps } = examined;
  const step = decisive(steps);
  if (!step) return undefined;
  const { settings, where } = settingsOf(
    step.host === undefined ? examined.endpoint : { url: `https://${step.host}` },
    names,
  );
  return (
    failedHelper(steps) ??
    certificateAdvice(step, settings, where) ??
    connectionAdvice(step, examined, settings, where) ??
    responseAdvice(step, examined, settings, where)
  );
}

/** The step that decides the verdict: the blob or the manifest, if they were requested. */
function decisive(steps: readonly Step[]): Step | undefined {
  const last = steps.at(-1);
  if (last?.name !== 'manifest' && last?.name !== 'blob') return steps.find(({ ok }) => !ok);
  if (last.ok) return undefined;
  if (last.name === 'blob') return last;
  const token = steps.find(({ name, ok }) => name === 'token' && !ok);
  const page = steps.find(({ code }) => code === 'WEB_PAGE');
  return token ?? page ?? last;
}

function failedHelper(steps: readonly Step[]): string | undefined {
  const helper = steps.find((step) => step.helper)?.helper;
  return helper && helperAdvice(helper);
}

const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_UNTRUSTED',
]);

function certificateAdvice(
  { code = '' }: Step,
  { ca, skip, url, client }: Settings,
  where: string,
): string | undefined {
  if (untrusted.has(code))
    return `This machine does not trust who signed the certificate: name the CA's file as ${ca} ${where}, or in NODE_EXTRA_CA_CERTS; ${skip} would trust any certificate`;
  if (code === 'CERT_HAS_EXPIRED')
    return 'The certificate has expired: have it renewed, or set the clock of this machine';
  if (code === 'CERT_NOT_YET_VALID') return 'The certificate is not valid yet: set the clock of this machine';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH')
    return `The certificate is for other names: use one of them in ${url}`;
  if (/^(?:EPROTO|ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG)$/.test(code))
    return `It does not speak TLS: write http:// in ${url}, if that is intended`;
  if (/^ERR_SSL_.*(?:CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE|UNKNOWN_CA)/.test(code))
    return `It requires a client certificate, or another one: name one as ${client} ${where}`;
  return undefined;
}

function connectionAdvice(
  { name, code = '' }: Step,
  { endpoint: { proxy, tls, url: root } }: Examined,
  { url, client }: Settings,
  where: string,
): string | undefined {
  const what = proxy === undefined ? `${url}` : `the proxy ${proxy}`;
  if (/^(?:ENOTFOUND|EAI_AGAIN|EAI_FAIL|ENODATA)$/.test(code))
    return `The name does not exist: correct ${what}, or this machine's DNS`;
  if (code === 'ECONNREFUSED') return `Nothing listens there: start it, or correct ${what}`;
  if (/^(?:EHOSTUNREACH|ENETUNREACH|EHOSTDOWN)$/.test(code))
    return `It cannot be reached: check the network, or correct ${what}`;
  if (/TIMEOUT|ETIMEDOUT/.test(code)) {
    return name === 'name' || name === 'tcp'
      ? `It does not respond: a firewall may drop the connection${proxy === undefined ? ', or it can only be reached through a proxy: set HTTPS_PROXY' : ''}; else correct ${what}`
      : 'It takes too long: look at its load, or give it more time with --timeout';
  }
  if (code === 'ECONNRESET' || code === 'UND_ERR_SOCKET') {
    const isAfterTls = root.startsWith('https:') && name !== 'tls' && name !== 'tcp';
    const certificate =
      tls?.cert === undefined ? `require a client certificate (${client} ${where})` : 'refuse the client certificate';
    const cause = isAfterTls
      ? `${certificate}, or speak another protocol`
      : 'speak another protocol, or refuse this machine';
    return `It closes the connection: it may ${cause}; look at its log`;
  }
  return undefined;
}

function deniedAdvice({ status, reason }: Step, { endpoint }: Examined, correctRewrite: string | undefined): string {
  // A rule of the registry, not a right of the user: 402, 412, 451 …
  if (status !== undefined && status !== 403)
    return 'It has a rule against it, which its message names: ask whoever runs it';
  const { credentials, repository } = endpoint;
  const isNobody = credentials === undefined || reason === 'no-login';
  const who = isNobody ? 'Without a login nobody' : `The login of ${credentials} is not one that`;
  return `${who} may read "${repository}" there: request access${correctRewrite ? `, or ${correctRewrite}` : ''}`;
}

function responseAdvice(step: Step, examined: Examined, { login, url }: Settings, where: string): string {
  const { code, status, name } = step;
  const { credentials, repository, rewrite } = examined.endpoint;
  const { host } = new URL(examined.endpoint.url);
  const after = examined.steps.find(({ retryAfter }) => retryAfter !== undefined)?.retryAfter;
  const wait = after === undefined ? '' : /^\d+$/.test(after) ? ` ${after} s` : ` until ${after}`;
  const correctRewrite = rewrite && `correct the rewrite "${rewrite.pattern}" ${where}`;
  if (code === 'WEB_PAGE' || code === 'BAD_RESPONSE')
    return `What responds is not a registry: a login page, a proxy, or another path; correct ${url}`;
  if (step.reason === 'login-withheld')
    return `It redirects from http to https, where no login is sent: write https:// in ${url}`;
  if (status === 401 || code === 'UNAUTHORIZED')
    return credentials === undefined || step.reason === 'no-login'
      ? `It requires a login: configure one (${login}) for ${host}, or correct the name, since some hosts say this of what does not exist`
      : `It refuses the login of ${credentials}: log in again (${login}) at ${host}`;
  if (status === 403 || code === 'DENIED') return deniedAdvice(step, examined, correctRewrite);
  if (code === 'TOO_MANY_REDIRECTS')
    return `It redirects without end: correct ${url}, or report the redirects to its operator`;
  if (step.reason === 'private-address')
    return `It leads to a private address: if that is yours, allow it with --allow-private ${step.host ?? 'HOST'}, or list it in allowPrivate`;
  if (code === 'UNSAFE_URL')
    return 'It leads to an unsafe address: report its redirects or token realm to its operator';
  if (status === 429 || code === 'RATE_LIMITED')
    return `It limits requests: wait${wait}${credentials === undefined ? ', log in' : ''}, or configure a mirror of it`;
  if (status !== undefined && status >= 500) return 'The host itself fails: look at its log, or ask its operator';
  if (code === 'NOT_FOUND')
    return correctRewrite
      ? `It does not have it in "${repository}": ${correctRewrite}, if it should`
      : `It does not have it in "${repository}": push it there, or correct the reference, if it should`;
  return name === 'api'
    ? `What responds at /v2/ is not a registry: correct ${url}`
    : `See what was found before this: the cause may be the host, or what is set ${where}`;
}
