import { expect, test } from 'vitest';
import {
  keepHeader,
  keepKey,
  keepLogin,
  keepSecret,
  keepUrl,
  oneLine,
  plainWords,
  redact,
  safeRecord,
} from '../src/redaction.ts';

const random = (): string => crypto.randomUUID().replaceAll('-', '').slice(0, 16);

test('a secret is removed wherever it stands, as often as it stands there', () => {
  const secret = random();
  keepSecret(secret);
  expect(redact(`${secret} in x${secret}y, ${secret}`)).toBe('*** in x***y, ***');
});

test.each([
  ['as it is in JSON', (secret: string) => JSON.stringify(secret).slice(1, -1)],
  ['encoded for a URL', (secret: string) => encodeURIComponent(secret)],
  [
    'encoded for a URL, in small letters',
    (secret: string) => encodeURIComponent(secret).replace(/%../g, (code) => code.toLowerCase()),
  ],
  ['in a form', (secret: string) => new URLSearchParams({ a: secret }).toString().slice(2)],
  ['in base64', (secret: string) => Buffer.from(secret).toString('base64')],
  ['in base64 for URLs', (secret: string) => Buffer.from(secret).toString('base64url')],
  ['behind a name, in base64', (secret: string) => Buffer.from(`joe:${secret}`).toString('base64')],
  ['between others, in base64', (secret: string) => Buffer.from(`{"a":"${secret}"}`).toString('base64')],
  ['cut off', (secret: string) => secret.slice(0, 30)],
])('it is recognized %s', (_, form) => {
  const secret = `${random()} "ä/?>+\\${random()}`;
  keepSecret(secret);
  const shown = redact(`before ${form(secret)} after`);
  expect(shown).toMatch(/^before .{0,12}\*\*\*.{0,8} after$/);
  expect(shown).not.toContain(form(secret).slice(12, 24));
});

test('short texts and ordinary words are left, as hiding them would tell what they are', () => {
  for (const text of ['', 'a', 'token', 'password', 'x-1']) keepSecret(text);
  expect(redact('the token "x-1" and the password')).toBe('the token "x-1" and the password');
});

test('of overlapping secrets nothing is left', () => {
  const [a, b] = [random(), random()];
  keepSecret(`${a}-${b}`);
  keepSecret(b);
  keepSecret(`${b}+1`);
  expect(redact(`<${a}-${b}+1>`)).toBe('<***>');
});

test('a login is hidden with its password, with its pair, and a name without a password itself', () => {
  const password = random();
  keepLogin({ username: 'joe', password });
  keepLogin({ username: 'ann', password: 'abc' });
  const name = random();
  keepLogin({ username: name, password: '' });
  expect(redact(`joe ${password} ann:abc ${btoa('ann:abc')} ${name}`)).toMatch(
    /^joe \*\*\* \*\*\* \*\*\*\S{0,4} \*\*\*$/,
  );
});

test('a header is hidden with and without its scheme, and the login of Basic', () => {
  const [token, password] = [random(), random()];
  keepHeader('x-any', `Bearer ${token}`);
  keepHeader('authorization', `basic ${btoa(`joe:${password}`)}`);
  keepHeader('accept', 'application/vnd.example.type+json');
  expect(redact(`${token} ${password} application/vnd.example.type+json`)).toBe(
    '*** *** application/vnd.example.type+json',
  );
});

test('of a URL its login and the values of its query are hidden, not what its path shows, types, times and our own parameters', () => {
  const [password, signature, bare, digest] = [random(), random(), random(), 'ab'.repeat(32)];
  const path = `https://joe:${password}@host.example/blobs/${digest}`;
  const open = `response-content-type=application/octet-stream&X-Amz-Date=20260101T000000Z&id=${digest}&scope=repository:library/alpine:pull`;
  keepUrl(new URL(`${path}?X-Sig=${signature}&${open}`));
  keepUrl(new URL(`https://host.example/?${bare}`));
  expect(redact([password, signature, bare].join())).toBe('***,***,***');
  for (const text of [digest, 'application/octet-stream', '20260101T000000Z', 'repository:library/alpine:pull']) {
    expect(redact(text)).toBe(text);
  }
});

test('a key is hidden line by line', () => {
  const line = random() + random() + random();
  keepKey(`-----BEGIN PRIVATE KEY-----\n${line}\n-----END PRIVATE KEY-----\n`);
  expect(redact(`found ${line}`)).toBe('found ***');
});

test('of a program that has secrets of its own only plain words are shown', () => {
  const said = 'Error: bad passphrase hunter2 for ghcr.io (exit status 1), see /home/joe/.pass "s3cr-et+/=" NaCl';
  expect(plainWords(said, ['ghcr.io'])).toBe(
    'Error: bad passphrase *** for ghcr.io (exit status 1), see *** "***" ***',
  );
});

test('characters that a terminal acts on, and ends of lines, are not left on one line', () => {
  const acting = [
    0x1b, 0x0a, 0x0d, 0x00, 0x7f, 0x80, 0x9b, 0x9f, 0xad, 0x200e, 0x202e, 0x2028, 0x2029, 0x2066, 0xfeff, 0xe0001,
  ];
  for (const code of acting) expect(oneLine(`a${String.fromCodePoint(code)}b`), code.toString(16)).toBe('a b');
  expect(oneLine('ä 漢 😀 ok')).toBe('ä 漢 😀 ok');
});

test('a record is copied only if something in it must be hidden', () => {
  const secret = random();
  keepSecret(secret);
  const clean = { text: 'fine', list: ['a', { n: 1 }] };
  expect(safeRecord(clean)).toBe(clean);
  expect(safeRecord({ text: secret, list: [`\u001b${secret}`, { n: 1, none: undefined }] })).toEqual({
    text: '***',
    list: [' ***', { n: 1, none: undefined }],
  });
});

test('the time to redact grows with the length of the text, not with its square', () => {
  keepSecret('abababababababababababababababababababababababab!');
  for (const unit of ['ab', 'a', '***', '%41']) {
    const text = unit.repeat(131_072 / unit.length);
    const started = performance.now();
    redact(text);
    expect(performance.now() - started, unit).toBeLessThan(1_000);
  }
});

test('the secrets that are remembered are bounded, and those in use stay', () => {
  const secret = random();
  for (let index = 0; index < 3_000; index += 1) {
    keepSecret(secret);
    keepSecret(`temporary-${index}-secret`);
  }
  expect(redact(`${secret} temporary-0-secret temporary-2999-secret`)).toBe('*** temporary-0-secret ***');
});
