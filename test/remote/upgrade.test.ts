import { expect, test } from 'vitest';
import type { ClientEvent } from '../../src/events.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { certificate } from '../server/certificate.ts';
import { answering, failsWith, failureOf, httpServer, httpsServer, type Loopback, rawServer } from '../support/http.ts';

const text = new TextEncoder().encode('a blob');
const blob = { mediaType: 'application/octet-stream', digest: digestOf(text), size: text.length };

/** Reads the blob from a registry of this machine, whose certificate is not checked, with what was warned of. */
async function read(
  { port }: Loopback,
  { times = 1, tls = { insecureSkipVerify: true } }: { times?: number; tls?: object } = {},
) {
  const host = `127.0.0.1:${port}`;
  const warnings: string[] = [];
  const onEvent = (event: ClientEvent): void => {
    if (event.type === 'warning' && event.host !== undefined) warnings.push(event.text);
  };
  const config: ClientOptions['config'] = { registries: { [host]: { origin: { tls } } } };
  await using client = createClient({ config, onEvent, retries: { tries: 1 } });
  const texts: string[] = [];
  for (let count = 0; count < times; count += 1) {
    const content = await client.fetcher(`${host}/a`).fetch(blob);
    texts.push(new TextDecoder().decode(await content.bytes()));
  }
  return { texts, warnings };
}

/** A server of TLS that answers this to what is not TLS: nginx and Go a text, OpenSSL an alert; Node's own closes the connection. */
async function talkative(reply = 'HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n') {
  const secure = await httpsServer(certificate, (_request, response) => response.end(text));
  const { connect } = await import('node:net');
  return rawServer((socket) => {
    socket.once('data', (first: Buffer) => {
      if (first[0] !== 22) {
        socket.end(reply, 'latin1');
        return;
      }
      const inner = connect(secure.port, '127.0.0.1');
      inner.write(first);
      socket.pipe(inner).on('error', () => socket.destroy());
      inner.pipe(socket);
    });
  });
}

test.each<[string, () => Promise<Loopback>]>([
  ['closes the connection', () => httpsServer(certificate, (_request, response) => response.end(text))],
  ['answers 400', talkative],
  ['answers with an alert', () => talkative('\x15\x03\x01\x00\x02\x02\x46')],
])('a registry of this machine that speaks TLS, and %s, is requested over https from then on', async (_how, start) => {
  const server = await start();
  const { texts, warnings } = await read(server, { times: 3 });
  expect(texts).toEqual(['a blob', 'a blob', 'a blob']);
  expect(warnings).toEqual(['it speaks TLS, so it is requested over https: write https:// in its URL']);
});

test('the certificate of such a registry is checked, and its problem is the one that is reported', async () => {
  const server = await httpsServer(certificate, (_request, response) => response.end(text));
  expect(await failureOf(read(server, { tls: {} }))).toEqual(
    failsWith('UNAVAILABLE', { message: expect.stringContaining('not signed by a trusted authority') }),
  );
});

test('a registry that speaks http and refuses a request, or closes connections, keeps its own answer', async () => {
  const refusing = await httpServer((_request, response) => response.writeHead(400).end());
  expect(await failureOf(read(refusing))).toEqual(failsWith('BAD_RESPONSE', { status: 400 }));
  const closing = await rawServer((socket) => void socket.once('data', () => socket.destroy()));
  expect(await failureOf(read(closing))).toEqual(failsWith('UNAVAILABLE'));
  const odd = await answering('SSH-2.0-OpenSSH_9.2\r\n');
  expect(await failureOf(read(odd))).toEqual(failsWith('UNAVAILABLE'));
});

test('https is never left for http', async () => {
  const server = await httpServer((_request, response) => response.end(text));
  expect(await failureOf(read(server, { tls: { ca: [certificate.cert] } }))).toEqual(
    failsWith('UNAVAILABLE', { message: expect.stringContaining('it does not speak TLS') }),
  );
});
