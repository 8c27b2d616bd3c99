import { type Settings, settingsOf } from './advice-settings.ts';
import type { FileNames } from './config-files.ts';
import type { Examined } from './examine.ts';
import type { Step } from './probes.ts';

const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_UNTRUSTED',
]);

/** What to do about a host that does not serve; undefined where there is nothing to do. */
export function adviceOf(examined: Examined, names: FileNames = new Map()): string | undefined {
  const step = decisive(examined.steps);
  if (!step) return undefined;
  const { settings, where } = settingsOf(examined, names);
  return (
    byCertificate(step, settings, where) ??
    byConnection(step, examined, settings, where) ??
    byAnswer(step, examined, settings, where)
  );
}

/** The step that the verdict hangs on: the manifest, where it was asked for. */
function decisive(steps: readonly Step[]): Step | undefined {
  const last = steps.at(-1);
  if (last?.name !== 'manifest') return steps.find(({ ok }) => !ok);
  if (last.ok) return undefined;
  const token = steps.find(({ name, ok }) => name === 'token' && !ok);
  const page = steps.find(({ code }) => code === 'WEB_PAGE');
  return token ?? page ?? last;
}

function byCertificate({ code = '' }: Step, { ca, skip, url, client }: Settings, where: string): string | undefined {
  if (untrusted.has(code))
    return `The certificate is signed by nobody this machine trusts: name the CA's file as ${ca} ${where}, or NODE_EXTRA_CA_CERTS; ${skip} trusts anybody`;
  if (code === 'CERT_HAS_EXPIRED')
    return 'The certificate has expired: have it renewed, or set the clock of this machine';
  if (code === 'CERT_NOT_YET_VALID') return 'The certificate is of the future: set the clock of this machine';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH')
    return `The certificate is for other names: ask by one of them, in ${url}`;
  if (/^(?:EPROTO|ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG)$/.test(code))
    return `It does not speak TLS: write http:// in ${url}, if that is meant`;
  if (/^ERR_SSL_.*(?:CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE|UNKNOWN_CA)/.test(code))
    return `It wants a client certificate, or another: name one as ${client} ${where}`;
  return undefined;
}

function byConnection(
  { name, code = '' }: Step,
  { endpoint: { proxy, tls, url: root } }: Examined,
  { url, client }: Settings,
  where: string,
): string | undefined {
  const what = proxy === undefined ? `${url}` : `the proxy ${proxy}`;
  if (/^(?:ENOTFOUND|EAI_AGAIN|EAI_FAIL|ENODATA)$/.test(code))
    return `There is no such name: correct ${what}, or this machine's DNS`;
  if (code === 'ECONNREFUSED') return `Nothing listens there: start it, or correct ${what}`;
  if (/^(?:EHOSTUNREACH|ENETUNREACH|EHOSTDOWN)$/.test(code))
    return `No way leads there: check the network, or correct ${what}`;
  if (/TIMEOUT|ETIMEDOUT/.test(code)) {
    return name === 'name' || name === 'tcp'
      ? `It does not answer: a firewall may drop it${proxy === undefined ? ', or it may be reached through a proxy only: set HTTPS_PROXY' : ''}; else correct ${what}`
      : 'It takes too long: look at its load, or give it more time with --timeout';
  }
  if (code === 'ECONNRESET' || code === 'UND_ERR_SOCKET') {
    const isAfterTls = root.startsWith('https:') && name !== 'tls' && name !== 'tcp';
    const certificate =
      tls?.cert === undefined ? `want a client certificate (${client} ${where})` : 'refuse the client certificate';
    const what = isAfterTls
      ? `${certificate}, or speak another protocol`
      : 'speak another protocol, or not to this machine';
    return `It hangs up: it may ${what}; look at its log`;
  }
  return undefined;
}

function byAnswer(step: Step, examined: Examined, { login, url }: Settings, where: string): string {
  const { code, status, name } = step;
  const { credentials, repository, rewrite } = examined.endpoint;
  const { host } = new URL(examined.endpoint.url);
  const after = examined.steps.find(({ retryAfter }) => retryAfter !== undefined)?.retryAfter;
  const later = after === undefined ? '' : /^\d+$/.test(after) ? ` ${after} s` : ` until ${after}`;
  if (code === 'WEB_PAGE' || code === 'BAD_RESPONSE')
    return `What answers is no registry: a login page, a proxy, or another path; correct ${url}`;
  if (status === 401 || code === 'UNAUTHORIZED')
    return credentials === undefined
      ? `It wants a login: give it one (${login}) for ${host}, or correct the name, as some say so of what is not there`
      : `It refuses the login of ${credentials}: log in again (${login}) at ${host}`;
  if (status === 403 || code === 'DENIED') {
    const who = credentials === undefined ? 'Nobody without a login' : `The login of ${credentials} is not one that`;
    return `${who} may read "${repository}" there: ask for access${rewrite ? `, or correct the rewrite "${rewrite.pattern}" ${where}` : ''}`;
  }
  if (code === 'TOO_MANY_REDIRECTS')
    return `It sends requests on and on: correct ${url}, or ask who runs it about the redirects`;
  if (code === 'UNSAFE_URL')
    return `It leads to where it is unsafe to go: ask who runs it about its redirects and its token realm`;
  if (status === 429 || code === 'RATE_LIMITED')
    return `It has been asked too often: wait${later}${credentials === undefined ? ', log in' : ''}, or put a mirror before it`;
  if (status !== undefined && status >= 500) return 'It fails itself: look at its log, or ask who runs it';
  if (code === 'NOT_FOUND')
    return rewrite
      ? `It has no "${repository}" of that name: correct the rewrite "${rewrite.pattern}" ${where}, if it should`
      : `It has no such thing in "${repository}": push it there, or correct the reference, if it should`;
  return name === 'api'
    ? `What answers at /v2/ is no registry: correct ${url}`
    : `What failed is told before this: it may be the host's, or what is set ${where}`;
}
