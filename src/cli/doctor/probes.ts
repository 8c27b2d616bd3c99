import { lookup } from 'node:dns/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type PeerCertificate, type TLSSocket } from 'node:tls';
import { type HelperFailure, type RegistryError, type TlsOptions, tlsConnectOptions } from '../../index.ts';

/** One step of examining a host, and its result. */
export interface Step {
  readonly name: 'name' | 'tcp' | 'tls' | 'api' | 'token' | 'manifest' | 'blob';
  readonly ok: boolean;
  /** Milliseconds. */
  readonly duration: number;
  /** What was found, or why it failed. */
  readonly found: string;
  /** The system's, Node's or this package's code of the failure: `ECONNREFUSED`, `DENIED`. */
  readonly code?: string | undefined;
  readonly status?: number | undefined;
  /** The kind of the failure within its code. */
  readonly reason?: RegistryError['reason'];
  /** Where the host led to, if that is where it failed. */
  readonly host?: string | undefined;
  /** The response's Retry-After. */
  readonly retryAfter?: string | undefined;
  /** The credential helper that failed. */
  readonly helper?: HelperFailure | undefined;
}

/** Where to connect to. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** Left out for http. */
  readonly tls?: TlsOptions | undefined;
  /** Milliseconds for each step. */
  readonly timeout: number;
}

export const targetOf = (url: URL, timeout: number, tls?: TlsOptions): Target => {
  const isTls = url.protocol === 'https:';
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || (isTls ? 443 : 80)),
    ...(isTls && { tls: tls ?? {} }),
    timeout,
  };
};

/** Checks name, connection and certificate of a host, up to the first that fails. */
export async function probe(target: Target): Promise<Step[]> {
  const name = await timed('name', () => addressesOf(target));
  if (!name.ok) return [name];
  const tcp = await timed('tcp', () => connectTo(target));
  if (!tcp.ok || !target.tls) return [name, tcp];
  return [name, tcp, await timed('tls', () => handshake(target, target.tls ?? {}))];
}

/** A certificate that is not trusted. The message has its facts. */
class UntrustedCertificate extends Error {
  readonly code: string;

  constructor(code: string, facts: string) {
    super(`${code}, ${facts}`);
    this.code = code;
  }
}

/** The step that `work` is: what it returns was found, and what it throws is the failure. */
async function timed(name: Step['name'], work: () => Promise<string>): Promise<Step> {
  const started = performance.now();
  try {
    const found = await work();
    return { name, ok: true, duration: performance.now() - started, found };
  } catch (error) {
    const { code = 'FAILED', message } = error as NodeJS.ErrnoException;
    const found = error instanceof UntrustedCertificate ? message : code;
    return { name, ok: false, duration: performance.now() - started, found, code };
  }
}

async function addressesOf({ host, timeout }: Target): Promise<string> {
  const found = await within(timeout, lookup(host, { all: true }));
  return found.map(({ address }) => address).join(', ');
}

async function connectTo({ host, port, timeout }: Target): Promise<string> {
  const socket = connectTcp({ host, port });
  try {
    await within(timeout, opened(socket, 'connect'));
    return `${socket.remoteAddress}:${socket.remotePort}`;
  } finally {
    socket.destroy();
  }
}

/** Always finishes the handshake, so that a certificate that is not trusted can be shown. */
async function handshake({ host, port, timeout }: Target, tls: TlsOptions): Promise<string> {
  const socket = connectTls({
    host,
    port,
    ...(!/^[\d.]+$|:/.test(host) && { servername: host }),
    ...tlsConnectOptions(tls),
    rejectUnauthorized: false,
  });
  try {
    await within(timeout, opened(socket, 'secureConnect'));
    const facts = factsOf(socket);
    // Node's type calls it an Error; it is the code.
    const code: unknown = socket.authorizationError;
    if (socket.authorized) return facts;
    if (tls.insecureSkipVerify) return `${facts}, not verified as configured`;
    throw new UntrustedCertificate(String((code as { code?: unknown } | null)?.code ?? code), facts);
  } finally {
    socket.destroy();
  }
}

function opened(socket: Socket | TLSSocket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.on('error', reject);
    socket.once('close', () => reject(Object.assign(new Error('closed'), { code: 'ECONNRESET' })));
  });
}

async function within<T>(timeout: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error('too late'), { code: 'TIMEOUT' })), timeout);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}

function factsOf(socket: TLSSocket): string {
  const certificate: Partial<PeerCertificate> = socket.getPeerCertificate();
  const { subject, issuer, subjectaltname, valid_to } = certificate;
  const until = valid_to === undefined ? 'unknown' : new Date(valid_to).toISOString().slice(0, 10);
  const names = subjectaltname?.replaceAll(/(?:DNS|IP Address):/g, '') ?? subject?.CN ?? 'nobody';
  return `${socket.getProtocol()}, for ${names}, by ${issuer?.CN ?? issuer?.O ?? 'nobody'}, until ${until}`;
}
