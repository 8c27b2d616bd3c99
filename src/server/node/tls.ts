import type { Socket } from 'node:net';
import type { Server, TLSSocket, TlsOptions } from 'node:tls';
import { cannot } from '../../errors.ts';
import { quote } from '../../text/quote.ts';
import type { ClientCertificate } from '../registry/exchange.ts';

/** How a server speaks TLS. */
export interface ListenTls {
  /** PEM text of the certificate chain and the key. */
  readonly cert: string;
  readonly key: string;
  /** PEM text of the authorities that sign certificates of clients. Needed for `clientCertificate`, and without it not used. */
  readonly ca?: string;
  /**
   * `require` closes the connection of a client without a certificate of `ca`. With `request` its handler sees the certificate,
   * if it is valid. Default: none is requested.
   */
  readonly clientCertificate?: 'require' | 'request';
  /** Default 1.2. */
  readonly minimumVersion?: '1.2' | '1.3';
}

/** What Node takes; `INVALID_CONFIG` for what it would not refuse. */
export function tlsOptions({ cert, key, ca, clientCertificate, minimumVersion = '1.2' }: ListenTls): TlsOptions {
  check('clientCertificate', clientCertificate, [undefined, 'require', 'request']);
  check('minimumVersion', minimumVersion, ['1.2', '1.3']);
  if (clientCertificate && ca === undefined)
    throw cannot('INVALID_CONFIG', 'listen', '"clientCertificate" needs "ca", whose certificates are accepted');
  return {
    cert,
    key,
    minVersion: `TLSv${minimumVersion}`,
    ...(clientCertificate && { ca, requestCert: true, rejectUnauthorized: clientCertificate === 'require' }),
  };
}

function check(name: string, value: string | undefined, known: readonly (string | undefined)[]): void {
  if (known.includes(value)) return;
  const names = known.filter((each) => each !== undefined).map((each) => quote(each));
  throw cannot('INVALID_CONFIG', 'listen', `"${name}" is ${quote(String(value))}, expected ${names.join(' or ')}`);
}

/** The valid certificate of a client; undefined if it sent none, or one that is not valid. */
export function certificateOf(socket: Socket): ClientCertificate | undefined {
  const { authorized, getPeerX509Certificate } = socket as Partial<TLSSocket>;
  const certificate = authorized ? getPeerX509Certificate?.call(socket) : undefined;
  if (!certificate) return undefined;
  const { subject, subjectAltName, fingerprint256 } = certificate;
  return { subject, subjectAltName, fingerprint256 };
}

/** What Go's servers say, too. */
const plainText = 'Client sent an HTTP request to an HTTPS server.\n';

/** Responds to plain HTTP on the port of a TLS server. */
export function answerPlain(server: Server): void {
  const sockets = new Map<number | undefined, Socket>();
  server.on('connection', (socket: Socket) => {
    const { remotePort } = socket;
    sockets.set(remotePort, socket);
    socket.once('close', () => {
      if (sockets.get(remotePort) === socket) sockets.delete(remotePort);
    });
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code !== 'ERR_SSL_HTTP_REQUEST') return;
    const head = ['HTTP/1.1 400 Bad Request', 'content-type: text/plain; charset=utf-8', 'connection: close'];
    const length = `content-length: ${plainText.length}`;
    const plain = sockets.get(socket.remotePort);
    plain?.write([...head, length, '', plainText].join('\r\n'));
    plain?.destroySoon();
  });
}
