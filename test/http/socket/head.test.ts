import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHeadReader, headBytes, type ResponseHead } from '../../../src/http/socket/head.ts';
import { expectLinear } from '../../support/linear.ts';

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');

/** The head at the beginning of a text that comes in pieces of `step` bytes, and how much was read. */
function read(text: string, step = text.length): { head: ResponseHead | undefined; rest: string } {
  const reader = createHeadReader();
  for (let from = 0; from < text.length; from += step) {
    const piece = bytesOf(text.slice(from, from + step));
    const { head, next } = reader.read(piece, 0);
    if (head) return { head, rest: text.slice(from + next) };
    if (next !== piece.length) throw new Error(`${next} bytes were read of ${piece.length}`);
  }
  return { head: undefined, rest: '' };
}

const start = 'HTTP/1.1 200 OK\r\n';
const plain = (fields: Record<string, string[]>) => ({ status: 200, minor: 1, fields, isRepaired: false });
const shown = ({ fields, ...head }: ResponseHead) => ({ ...head, fields: Object.fromEntries(fields) });

test.each<[string, string, ReturnType<typeof plain>]>([
  ['lines by name', `${start}A: b\r\na:c \r\nX-Y:\td\r\n\r\n`, plain({ a: ['b', 'c'], 'x-y': ['d'] })],
  ['no lines', `${start}\r\n`, plain({})],
  ['no reason', 'HTTP/1.1 200\r\n\r\n', plain({})],
  ['an empty value, and colons in one', `${start}A:\r\nB: c:d\r\n\r\n`, plain({ a: [''], b: ['c:d'] })],
  ['bytes above 127', `${start}A: \xe9\r\n\r\n`, plain({ a: ['\xe9'] })],
  ['an older version', 'HTTP/1.0 404 No\r\n\r\n', { ...plain({}), status: 404, minor: 0 }],
  ['a name of the language', `${start}__proto__: a\r\n\r\n`, plain(Object.fromEntries([['__proto__', ['a']]]))],
])('a head with %s is read, wherever it is cut', (_, text, expected) => {
  for (let step = 1; step <= text.length; step += 1) {
    const { head, rest } = read(`${text}HTTP/1.1 body`, step);
    expect(head && shown(head)).toEqual(expected);
    expect(rest).toBe('HTTP/1.1 body');
  }
});

test.each<[string, string, Record<string, string[]>]>([
  ['folded lines', `${start}A: b\r\n  c \r\n\td\r\nE: f\r\n\r\n`, { a: ['b c d'], e: ['f'] }],
  ['space before a colon', `${start}A : b : c\r\n\r\n`, { a: ['b : c'] }],
  ['lines without a carriage return', 'HTTP/1.1 200 OK\nA: b\n\n', { a: ['b'] }],
  ['one line without a carriage return', `${start}A: b\n\r\n`, { a: ['b'] }],
  ['an unsolicited 100', `HTTP/1.1 100 Continue\r\nX: y\r\n\r\n${start}A: b\r\n\r\n`, { a: ['b'] }],
  ['several early hints', `${'HTTP/1.1 103 Early\r\nLink: <a>\r\n\r\n'.repeat(3)}${start}A: b\r\n\r\n`, { a: ['b'] }],
  ['empty lines before it', `\r\n\n${start}A: b\r\n\r\n`, { a: ['b'] }],
])('a head with %s is repaired, wherever it is cut', (_, text, fields) => {
  for (let step = 1; step <= text.length; step += 1) {
    const { head, rest } = read(`${text}body`, step);
    expect(head && shown(head)).toEqual({ ...plain(fields), isRepaired: true });
    expect(rest).toBe('body');
  }
});

test.each([
  ['another protocol', 'SSH-2.0-OpenSSH_9.9\r\n', 'it is not HTTP'],
  ['an alert of TLS', '\x15\x03\x01', 'it is not HTTP'],
  ['another version', 'HTTP/2.0 200 OK\r\n\r\n', 'it is not HTTP'],
  ['no status', 'HTTP/1.1 OK\r\n\r\n', 'first line'],
  ['a status of two digits', 'HTTP/1.1 99 \r\n\r\n', 'first line'],
  ['a status of four digits', 'HTTP/1.1 2000 \r\n\r\n', 'first line'],
  ['a change of protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n', 'another protocol'],
  ['a line without a colon', `${start}nothing\r\n\r\n`, 'no name'],
  ['a line without a name', `${start}: a\r\n\r\n`, 'no name'],
  ['a name with a space in it', `${start}A b: c\r\n\r\n`, 'no name'],
  ['a first line that is folded', `${start} A: b\r\n\r\n`, 'folded'],
  ['a carriage return in a value', `${start}A: b\rContent-Length: 1\r\n\r\n`, 'carriage return or NUL'],
  ['a carriage return in the first line', 'HTTP/1.1 200 O\rK\r\n\r\n', 'carriage return or NUL'],
  ['two carriage returns', `${start}A: b\r\r\n\r\n`, 'carriage return or NUL'],
  ['NUL', `${start}A: \0\r\n\r\n`, 'carriage return or NUL'],
  ['too many bytes', `${start}A: ${'b'.repeat(headBytes)}\r\n\r\n`, `longer than ${headBytes} bytes`],
  ['too many bytes of other heads', `${'HTTP/1.1 100 \r\n\r\n'.repeat(5_000)}${start}\r\n`, 'longer than'],
  ['too many empty lines', '\r\n'.repeat(headBytes), 'longer than'],
])('a head with %s is refused, wherever it is cut', (_, text, found) => {
  const steps = text.length > 1_000 ? [7, text.length] : [1, 2, 3, 7, text.length];
  for (const step of steps) {
    expect(() => read(text, step)).toThrow(expect.objectContaining({ code: 'INVALID_RESPONSE' }));
    expect(() => read(text, step)).toThrow(found);
  }
});

test('what cannot be HTTP is refused at its first byte, and the beginning of a head waits for more', () => {
  expect(() => read('\x15')).toThrow('not HTTP');
  for (let length = 1; length < start.length; length += 1) expect(read(start.slice(0, length)).head).toBeUndefined();
});

test('any fields come as they are written, wherever the head is cut', () => {
  const name = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9a-z-]{1,12}$/);
  const value = fc.stringMatching(/^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?)?$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 12 }), fc.integer({ min: 1, max: 40 }), (lines, step) => {
      const text = `${start}${lines.map(([key, line]) => `${key}: ${line}\r\n`).join('')}\r\n`;
      const fields = new Map<string, string[]>();
      for (const [key, line] of lines) fields.set(key, [...(fields.get(key) ?? []), line]);
      expect(read(`${text}rest`, step)).toEqual({
        head: { status: 200, minor: 1, fields, isRepaired: false },
        rest: 'rest',
      });
    }),
  );
});

test('the time grows no faster than the bytes, also one by one', () => {
  expectLinear(50_000, (length) => {
    read(`${start}A: ${'b'.repeat(length)}`, 1);
    read(`${start}A: b${'\r\n c'.repeat(length / 4)}\r\n\r\n`);
    read(`${start}${'a:\r\n'.repeat(length / 4)}\r\n`);
    read(`${start}A: ${' \t'.repeat(length / 2)}\r\n\r\n`);
  });
});
