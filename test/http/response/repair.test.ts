import { expect, test } from 'vitest';
import { createRepair } from '../../../src/http/response/repair.ts';
import { expectLinear } from '../../support/linear.ts';

const start = 'HTTP/1.1 200 OK\r\n';

function repaired(text: string, step = text.length): string {
  const repair = createRepair();
  const bytes = Buffer.from(text, 'latin1');
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += step) parts.push(repair(bytes.subarray(at, at + step)));
  return Buffer.concat(parts).toString('latin1');
}

const chunked = `${start}Transfer-Encoding: chunked\r\n\r\n`;

const cases: readonly (readonly [what: string, sent: string, read: string])[] = [
  [
    'two equal lengths',
    `${start}Content-Length: 5\r\nA: b\r\ncontent-length: 5\r\n\r\nhello`,
    `${start}A: b\r\nContent-Length: 5\r\n\r\nhello`,
  ],
  ['equal lengths in a line', `${start}Content-Length: 5, 5\r\n\r\nhello`, `${start}Content-Length: 5\r\n\r\nhello`],
  [
    'a length beside chunks',
    `${start}Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    `${chunked}5\r\nhello\r\n0\r\n\r\n`,
  ],
  ['an unsolicited 100', `HTTP/1.1 100 Continue\r\nA: b\r\n\r\n${start}A: b\r\n\r\nhello`, `${start}A: b\r\n\r\nhello`],
  [
    'space after sizes',
    `${chunked}5  \r\nhello\r\nA\t;a=b\r\n0123456789\r\n0 \r\nT: r\r\n\r\n`,
    `${chunked}5\r\nhello\r\na\r\n0123456789\r\n0\r\nT: r\r\n\r\n`,
  ],
  ['folded lines', `${start}A: b\r\n  c\r\n\td\r\nE: f\r\n\r\n`, `${start}A: b c d\r\nE: f\r\n\r\n`],
  ['space before a colon', `${start}A : b : c\r\n\r\n`, `${start}A: b : c\r\n\r\n`],
  ['lines without a carriage return', 'HTTP/1.1 200 OK\nA: b\n\nhello\n', `${start}A: b\r\n\r\nhello\n`],
  [
    'an early hint',
    `HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n${start}A: b\r\n c\r\n\r\n`,
    `HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n${start}A: b c\r\n\r\n`,
  ],
];

test.each(cases)('%s are repaired, wherever the bytes are cut', (_, sent, read) => {
  for (let step = 1; step <= sent.length; step += 1) expect(repaired(sent, step)).toBe(read);
});

test.each([
  ['an ordinary response', `${start}Content-Length: 5\r\nA: b, c\r\n\r\nhello HTTP/1.1 100 \r\n\r\n`],
  ['different lengths', `${start}A: b\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
  ['lengths that are no numbers', `${start}Content-Length: 5x, 5x\r\n\r\nhello`],
  ['other codings', `${start}Transfer-Encoding: chunked, gzip\r\nContent-Length: 5\r\n\r\n5 \r\n`],
  ['a size that is none', `${chunked}5 5\r\nhello\r\n`],
  ['a size without digits', `${chunked} \r\nhello\r\n`],
  ['a size over what a number holds', `${chunked}${'f'.repeat(14)} \r\nhello\r\n`],
  ['chunked in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello'],
  ['a head without an end', `${start}${'A: b\r\n'.repeat(20_000)}`],
  ['a size line without an end', `${chunked}5;${'a'.repeat(80_000)}`],
])('%s stays as it is', (_, text) => {
  expect(repaired(text)).toBe(text);
  expect(repaired(text, 7)).toBe(text);
});

test('what is not HTTP is given at once', () => {
  expect(repaired('\x15\x03\x01', 1)).toBe('\x15\x03\x01');
  expect(repaired('SSH-2.0\r\n')).toBe('SSH-2.0\r\n');
  expect(repaired('HTTP/')).toBe('');
});

test('the time grows no faster than the bytes, also one by one', () => {
  expectLinear(400_000, (length) => {
    repaired(`${chunked}${'1 \r\na\r\n'.repeat(length / 7)}`);
    repaired(`${start}${'a\n'.repeat(length / 2)}`, 1);
    repaired(`${start}A: ${'\n a'.repeat(length / 3)}`, 1);
  });
});
