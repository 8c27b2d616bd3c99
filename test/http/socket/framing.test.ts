import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMessageReader, parseChunkSize } from '../../../src/http/socket/framing.ts';
import { expectLinear } from '../../support/linear.ts';
import { repairable } from '../../support/repairable.ts';

/** What is read of a text that comes in these pieces, before the connection ends. */
function read(pieces: readonly string[], method = 'GET') {
  const message = createMessageReader(method);
  let body = '';
  for (const piece of pieces)
    message.read(Buffer.from(piece, 'latin1'), (part) => (body += Buffer.from(part).toString('latin1')));
  const { head, isDone, keeps } = message;
  return {
    message,
    status: head?.status,
    length: head?.fields.get('content-length')?.[0],
    body,
    isDone,
    isKept: keeps > 0,
  };
}

function* cuts(text: string): Generator<string[]> {
  for (let at = 0; at <= text.length; at += 1) yield [text.slice(0, at), text.slice(at)];
  yield [...text];
}

const start = 'HTTP/1.1 200 OK\r\n';
const chunked = `${start}Transfer-Encoding: chunked\r\n\r\n`;

test.each<[string, string, string, boolean]>([
  ['a length', `${start}Content-Length: 5\r\n\r\nhello`, 'hello', true],
  ['a length of 0', `${start}Content-Length: 0\r\n\r\n`, '', true],
  ['chunks', `${chunked}5\r\nhello\r\n00A\r\n0123456789\r\n0\r\n\r\n`, 'hello0123456789', true],
  ['chunks and a trailer', `${chunked}5;a=b;c="d"\r\nhello\r\n0;e\r\nT: r\r\nU: v\r\n\r\n`, 'hello', true],
  ['no body, by its status', 'HTTP/1.1 204 No\r\n\r\n', '', true],
  ['no body though it has a length', 'HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n', '', true],
  ['a connection that is to be closed', `${start}Connection: X, Close\r\nContent-Length: 2\r\n\r\nhi`, 'hi', false],
  ['an older version', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi', 'hi', false],
  [
    'an older version that is kept',
    'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi',
    'hi',
    true,
  ],
  ['too short a time to be kept', `${start}Keep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nhi`, 'hi', false],
])('a message with %s has its body, wherever it is cut', (_, text, body, isKept) => {
  for (const pieces of cuts(text)) expect(read(pieces)).toMatchObject({ body, isDone: true, isKept });
});

test.each(Object.entries(repairable('text/plain', 'hello')))(
  'a message with %s is read, wherever it is cut, and its connection not kept',
  (_, text) => {
    for (const pieces of cuts(text))
      expect(read(pieces)).toMatchObject({ status: 200, body: 'hello', isDone: true, isKept: false });
  },
);

test.each<[string, string]>([
  ['chunks twice', `${start}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`],
  ['chunks in an older version', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
  ['lines of chunks without a carriage return', `${chunked}5\nhello\n0\n\n`],
  ['a trailer without a carriage return', `${chunked}5\r\nhello\r\n0\r\nA: b\n\r\n`],
  ['something after it', `${start}Content-Length: 5\r\n\r\nhello${start}`],
])('a message with %s is read, and its connection not kept', (_, text) => {
  expect(read([text])).toMatchObject({ body: 'hello', isDone: true, isKept: false });
});

test('a length beside chunks is no field of the message', () => {
  expect(read([repairable('a/b', 'hello')['chunks beside another length'] ?? '']).length).toBeUndefined();
});

test('a response to HEAD has no body, whatever it says', () => {
  for (const fields of ['Content-Length: 5', 'Transfer-Encoding: chunked', 'A: b']) {
    expect(read([`${start}${fields}\r\n\r\n`], 'HEAD')).toMatchObject({ isDone: true, isKept: true, body: '' });
  }
});

test('a body without a length ends with the connection', () => {
  for (const pieces of cuts(`${start}\r\nhello`)) {
    const { message, body } = read(pieces);
    expect([body, message.isDone]).toEqual(['hello', false]);
    message.end();
    expect([message.isDone, message.keeps]).toEqual([true, 0]);
  }
});

test.each([
  ['no byte', ''],
  ['half a head', `${start}A: b\r\n`],
  ['a body shorter than its length', `${start}Content-Length: 6\r\n\r\nhello`],
  ['half a chunk', `${chunked}6\r\nhello`],
  ['no last chunk', `${chunked}5\r\nhello\r\n`],
  ['no end of the trailer', `${chunked}5\r\nhello\r\n0\r\n`],
])('a connection that ends after %s is an error', (_, text) => {
  expect(() => read([text]).message.end()).toThrow(expect.objectContaining({ code: 'ECONNRESET' }));
});

test.each([
  ['different lengths', `${start}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`, 'the values 5 and 6'],
  ['different lengths in a line', `${start}Content-Length: 5, 6\r\n\r\n`, 'the values 5 and 6'],
  ['lengths that are written differently', `${start}Content-Length: 5\r\nContent-Length: 05\r\n\r\n`, 'values'],
  ['a length that is no number', `${start}Content-Length: 5x\r\n\r\n`, 'not a number'],
  ['a negative length', `${start}Content-Length: -5\r\n\r\n`, 'not a number'],
  ['a signed length', `${start}Content-Length: +5\r\n\r\n`, 'not a number'],
  ['an empty length', `${start}Content-Length:\r\n\r\n`, 'not a number'],
  ['a length that no number holds', `${start}Content-Length: 99999999999999999\r\n\r\n`, 'not a number'],
  ['another encoding', `${start}Transfer-Encoding: gzip, chunked\r\n\r\n`, 'other than chunked'],
  ['an unknown encoding', `${start}Transfer-Encoding: xchunked\r\n\r\n`, 'other than chunked'],
  ['an encoding behind a strange space', `${start}Transfer-Encoding: \x0bchunked\r\n\r\n`, 'other than chunked'],
  ['a size that is none', `${chunked}5 5\r\nhello`, 'no size'],
  ['a size in another form', `${chunked}0x5\r\nhello`, 'no size'],
  ['a negative size', `${chunked}-5\r\nhello`, 'no size'],
  ['a size behind space', `${chunked} 5\r\nhello`, 'no size'],
  ['no size', `${chunked}\r\nhello`, 'no size'],
  ['a size that no number holds', `${chunked}fffffffffffffff\r\n`, 'no size'],
  ['a chunk longer than its size', `${chunked}4\r\nhello\r\n`, 'longer than its size'],
  ['a carriage return in a size', `${chunked}5;\rx\r\nhello\r\n`, 'carriage return or NUL'],
  ['a carriage return alone after a chunk', `${chunked}5\r\nhello\r0\r\n\r\n`, 'carriage return or NUL'],
  ['a long line before a chunk', `${chunked}5;${'a'.repeat(5_000)}`, 'longer than 4096 bytes'],
  ['a long trailer', `${chunked}0\r\n${'A: b\r\n'.repeat(20_000)}`, 'longer than 65536 bytes'],
])('a message with %s is refused, wherever it is cut', (_, text, found) => {
  for (const pieces of [[text], [...text], [text.slice(0, 60), text.slice(60)]]) {
    expect(() => read(pieces)).toThrow(expect.objectContaining({ code: 'INVALID_RESPONSE' }));
    expect(() => read(pieces)).toThrow(found);
  }
});

test('any chunks, with extensions and trailers, cut anywhere, are the bytes that were sent', () => {
  const extension = fc.constantFrom('', ';a', ';a=b', ' ', '\t;c="d"');
  const sent = fc.record({
    parts: fc.array(fc.tuple(fc.string({ minLength: 1, maxLength: 300, unit: 'binary-ascii' }), extension)),
    trailer: fc.constantFrom('', 'A: b\r\n', 'A: b\r\nC: d\r\n'),
    step: fc.integer({ min: 1, max: 500 }),
    rest: fc.constantFrom('', 'HTTP/1.1 '),
  });
  fc.assert(
    fc.property(sent, ({ parts, trailer, step, rest }) => {
      const chunks = parts.map(([part, after]) => `${part.length.toString(16)}${after}\r\n${part}\r\n`).join('');
      const text = `${chunked}${chunks}0\r\n${trailer}\r\n${rest}`;
      const pieces = Array.from({ length: Math.ceil(text.length / step) }, (_, index) =>
        text.slice(index * step, (index + 1) * step),
      );
      const { body, isDone } = read(pieces);
      expect([body, isDone]).toEqual([parts.map(([part]) => part).join(''), true]);
    }),
  );
});

test('the time that a connection is kept is what the server says, less a margin', () => {
  const keepsOf = (field: string): number => read([`${start}${field}Content-Length: 0\r\n\r\n`]).message.keeps;
  expect(
    ['', 'Keep-Alive: timeout=5\r\n', 'Keep-Alive: max=3, timeout=60\r\n', 'Keep-Alive: timeout=99999\r\n'].map(
      keepsOf,
    ),
  ).toEqual([4_000, 3_000, 58_000, 600_000]);
});

test('a chunk size may have space after it', () => {
  expect(parseChunkSize('1F')).toEqual({ bytes: 31, isRepaired: false });
  expect(parseChunkSize('1f \t;a')).toEqual({ bytes: 31, isRepaired: true });
});

test('the time grows no faster than the bytes, also one by one', () => {
  expectLinear(400_000, (length) => {
    read([`${chunked}${'1\r\na\r\n'.repeat(length / 6)}`]);
    read([...`${chunked}${'1;x\r\na\r\n'.repeat(length / 40)}`]);
  });
});
