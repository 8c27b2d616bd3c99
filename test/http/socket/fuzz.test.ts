import { once } from 'node:events';
import { request as nodeRequest } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMessageReader } from '../../../src/http/socket/framing.ts';
import { socketTransport } from '../../../src/http/socket/socket-transport.ts';
import { atEnd, bytesOf, rawServer } from '../../support/http.ts';
import { repairable } from '../../support/repairable.ts';
import { runs } from '../../support/runs.ts';

/** What became of a response: its status and bytes, or nothing if it was refused or broke. */
type Outcome = { readonly status: number; readonly body: string } | undefined;

/** The response in these pieces, as Node's own client reads it. */
async function byNode(pieces: readonly string[]): Promise<Outcome> {
  const socket = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  const outcome = new Promise<Outcome>((resolve) => {
    const request = nodeRequest({ host: 'a', createConnection: () => socket }, (response) => {
      const chunks: Buffer[] = [];
      const body = (): string => Buffer.concat(chunks).toString('latin1');
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve(response.complete ? { status: response.statusCode ?? 0, body: body() } : undefined),
      );
      response.on('error', () => resolve(undefined));
      response.on('close', () => resolve(undefined));
    });
    request.on('error', () => resolve(undefined));
    request.on('close', () => setImmediate(resolve, undefined));
    request.end();
  });
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.push(Buffer.from(piece, 'latin1'));
    await new Promise(setImmediate);
  }
  if (!socket.destroyed) socket.push(null);
  return outcome.finally(() => socket.destroy());
}

/** The same by the reader of the socket transport, without a socket. */
function byReader(pieces: readonly string[]): Outcome {
  const message = createMessageReader('GET');
  const chunks: Buffer[] = [];
  try {
    for (const piece of pieces) {
      if (!message.isDone) message.read(Buffer.from(piece, 'latin1'), (part) => chunks.push(Buffer.from(part)));
    }
    message.end();
  } catch {
    return undefined;
  }
  return { status: message.head?.status ?? 0, body: Buffer.concat(chunks).toString('latin1') };
}

const parts = fc.constantFrom(
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.0 200 OK\r\n',
  'HTTP/1.1 204 No Content\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 9\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Transfer-Encoding: gzip\r\n',
  'Transfer-Encoding: chunked, identity\r\n',
  'Connection: close\r\n',
  'Connection: keep-alive\r\n',
  'A: b\r\n',
  ' folded\r\n',
  '\r\n',
  'hello',
  '5\r\nhello\r\n',
  '5;a=b\r\nhello\r\n',
  '0\r\n',
  '0\r\n\r\n',
);

/** Whole responses of many kinds, well and badly formed, and ones put together at random. */
const responses: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    ...Object.values(repairable('text/plain', 'hello')),
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a="b"\r\nhello\r\n3\r\nabc\r\n0\r\nT: r\r\n\r\n',
    'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello',
    'HTTP/1.0 200 OK\r\n\r\nhello',
  ),
  fc.array(parts, { minLength: 1, maxLength: 9 }).map((all) => `HTTP/1.1 200 OK\r\n${all.join('')}`),
);

const odd = fc.constantFrom(
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '0',
  '5',
  'f',
  'x',
  '-',
  '+',
  '\x0b',
  '\x7f',
  '\xff',
);
/** How a text is distorted: bytes at a place are removed, repeated, or replaced. */
const distortion = fc.record({
  at: fc.nat(400),
  remove: fc.nat(3),
  repeat: fc.nat(12),
  insert: fc.oneof(fc.constant(''), odd),
});

const distorted = fc.tuple(responses, fc.array(distortion, { maxLength: 3 })).map(([text, all]) =>
  all.reduce((current, { at, remove, repeat, insert }) => {
    const place = at % (current.length + 1);
    const rest = current.slice(place + remove);
    return current.slice(0, place) + insert + current.slice(place, place + repeat) + rest;
  }, text),
);

/** A text in pieces, cut at these places. */
function pieces(text: string, cuts: readonly number[]): string[] {
  const places = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((start, index) => text.slice(start, places[index])).filter((piece) => piece !== '');
}

const cuts = fc.array(fc.nat(400), { maxLength: 6 });

test('of any response, also a distorted one, the reader has the bytes that node:http has, or refuses it', async () => {
  let both = 0;
  await fc.assert(
    fc.asyncProperty(distorted, cuts, async (text, places) => {
      const [node, ours] = [await byNode(pieces(text, places)), byReader(pieces(text, places))];
      if (!node || !ours) return;
      both += 1;
      expect(ours).toEqual(node);
    }),
    runs(800),
  );
  expect(both).toBeGreaterThan(30);
});

test('where a response is cut makes no difference to what is read of it', () => {
  fc.assert(
    fc.property(distorted, cuts, (text, places) => {
      const whole = byReader([text]);
      expect(byReader(pieces(text, places))).toEqual(whole);
      expect(byReader([...text])).toEqual(whole);
    }),
    runs(250),
  );
});

test('a response that ends at any byte before its end is read as node:http reads it, or refused', async () => {
  const texts = [
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\nT: r\r\n\r\n',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello',
  ];
  for (const text of texts) {
    for (let end = 0; end < text.length; end += 1) {
      const [node, ours] = [await byNode([text.slice(0, end)]), byReader([text.slice(0, end)])];
      if (ours) expect([end, ours]).toEqual([end, node]);
    }
  }
});

test('over sockets the same bytes come, or an error, however the response is distorted and cut', async () => {
  let sent: readonly string[] = [];
  const { url } = await rawServer((socket: Socket) => {
    socket.setNoDelay(true);
    socket.once('data', async () => {
      for (const piece of sent) {
        socket.write(piece, 'latin1');
        await new Promise(setImmediate);
      }
      socket.end();
      await once(socket, 'close').catch(() => undefined);
    });
  });
  const transport = socketTransport();
  atEnd(() => transport.close());
  const bySocket = async (): Promise<Outcome> => {
    try {
      const response = await transport({ method: 'GET', url });
      return { status: response.status, body: (await bytesOf(response)).toString('latin1') };
    } catch (error) {
      expect(error).toMatchObject({
        name: 'RegistryError',
        code: expect.stringMatching(/^(?:UNAVAILABLE|UNEXPECTED_END|BAD_RESPONSE)$/),
      });
      return undefined;
    }
  };
  await fc.assert(
    fc.asyncProperty(distorted, cuts, async (text, places) => {
      sent = pieces(text, places);
      const [came, read] = [await bySocket(), byReader([text])];
      if (came) expect(came).toEqual(read);
    }),
    runs(100),
  );
});
