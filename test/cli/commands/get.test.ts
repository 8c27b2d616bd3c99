import { readdir, readFile, stat, symlink } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { absent, sampleOf, samples } from '../../contract/source.ts';
import { folder, registry, run } from '../support.ts';

const { large, manifest, config } = samples;
const digest = large.descriptor.digest;
const binary = Buffer.from(large.bytes);

/** A registry by the name that references have it under. */
async function host(options: Parameters<typeof registry>[0] = {}) {
  const { port, requests } = await registry(options);
  return { name: `127.0.0.1:${port}/team/app`, requests };
}

test('a blob and a manifest are printed byte for byte', async () => {
  const { name } = await host();
  const blob = await run(['get', '--no-discover', `${name}@${config.descriptor.digest}`]);
  expect(blob).toEqual({ code: 0, out: ['{}'], err: [] });
  const document = await run(['get', '--no-discover', `${name}@${manifest.descriptor.digest}`]);
  expect(document.out.join('\n')).toBe(Buffer.from(manifest.bytes).toString());
});

test('a file gets its name when its content is verified, and --json describes it', async () => {
  const { name } = await host();
  const { path } = await folder({ 'there.bin': 'of before' });
  const { code, out, err } = await run([
    'get',
    '--no-discover',
    '--json',
    `${name}@${digest}`,
    '-o',
    path('there.bin'),
  ]);
  expect({ code, err }).toEqual({ code: 0, err: [] });
  expect(JSON.parse(out.join('\n'))).toMatchObject({ file: path('there.bin'), descriptor: { digest }, verified: true });
  expect(binary.equals(await readFile(path('there.bin')))).toBe(true);
  expect(await readdir(path('.'))).toEqual(['there.bin']);
});

test('a link to a file stays a link', async () => {
  const { name } = await host();
  const { path } = await folder({ real: '' });
  await symlink('real', path('link'));
  await run(['get', '--no-discover', `${name}@${digest}`, '-o', path('link')]);
  expect((await readFile(path('real'))).length).toBe(binary.length);
  expect((await readdir(path('.'))).sort()).toEqual(['link', 'real']);
});

test.each([
  ['0-9', 0, 10],
  ['300000-', 300_000, binary.length],
  ['-5', binary.length - 5, binary.length],
  ['300000-999999', 300_000, binary.length],
])('--range %s prints those bytes, and says that they are not verified', async (range, start, end) => {
  const { name } = await host();
  const { path } = await folder({});
  const { code, err } = await run(['get', '--no-discover', '--range', range, `${name}@${digest}`, '-o', path('part')]);
  expect({ code, err }).toEqual({ code: 0, err: ['A range cannot be verified.'] });
  expect(binary.subarray(start, end).equals(await readFile(path('part')))).toBe(true);
});

test('a range of all bytes is verified; one beyond the end is a wrong command line', async () => {
  const { name } = await host();
  const whole = await run(['get', '--no-discover', '--range', '0-1', `${name}@${config.descriptor.digest}`]);
  expect(whole).toEqual({ code: 0, out: ['{}'], err: [] });
  const beyond = await run(['get', '--no-discover', '--range', '2-', `${name}@${config.descriptor.digest}`]);
  expect(beyond.err).toEqual(['ocifetch: Flag "--range" begins at 2: there are 2 bytes. See "ocifetch get --help".']);
  expect(beyond.code).toBe(2);
});

test('binary content is not printed on a terminal, unless forced', async () => {
  const { name } = await host();
  const refused = await run(['get', '--no-discover', `${name}@${digest}`], {}, true);
  expect(refused).toMatchObject({ code: 2, out: [], err: [expect.stringContaining('-o FILE, or force it with -o -')] });
  expect(await run(['get', '--no-discover', `${name}@${digest}`, '-o', '-'], {}, true)).toMatchObject({ code: 0 });
  expect(await run(['get', '--no-discover', `${name}@${config.descriptor.digest}`], {}, true)).toMatchObject({
    code: 0,
    out: ['{}'],
  });
});

test('on a terminal, what it acts on is escaped in whatever chunk it is; -o - and a pipe get the bytes', async () => {
  const hostile = '\u001b[31m \u009b \u202e \u2028 \u007f a\rb \u0000';
  const bytes = Buffer.concat([Buffer.from(`${'x'.repeat(600_000)}\r\n\tü${hostile}`), Buffer.of(0x9b, 0xff, 13)]);
  const sample = sampleOf(bytes);
  const { port } = await registry({ content: [sample] });
  const line = ['get', '--no-discover', `127.0.0.1:${port}/app@${sample.descriptor.digest}`];
  const { code, out } = await run(line, {}, true);
  expect(code).toBe(0);
  const [first = '', ...rest] = out;
  expect(first).toBe('x'.repeat(600_000));
  expect(rest).toEqual(['\tü\\u{1b}[31m \\u{9b} \\u{202e} \\u{2028} \\u{7f} a\\u{d}b \\u{0}\ufffd\ufffd']);
  for (const [more, isTTY] of [
    [['-o', '-'], true],
    [[], false],
  ] as const) {
    const raw = await run([...line, ...more], {}, isTTY);
    expect(raw.out.join('\n')).toContain(Buffer.from(hostile).toString('latin1'));
  }
});

test('wrong bytes of a host are replaced by those of the next one; wrong bytes of the last one leave no file', async () => {
  const big = sampleOf(Buffer.alloc(5_000_000, 'x'));
  const bad = Buffer.alloc(5_000_000, 'y');
  const lies = await registry({
    gate: () => async () => new Response(bad, { headers: { 'content-length': String(bad.length) } }),
  });
  const honest = await registry({ content: [big] });
  const configFor = (...urls: string[]): string =>
    JSON.stringify({ registries: { 'r.test': { mirrors: urls.map((url) => ({ url })), origin: 'never' } } });
  const { path } = await folder({ 'both.json': configFor(lies.url, honest.url), 'one.json': configFor(lies.url) });
  const line = (file: string): string[] => ['get', '--config', path(file), `r.test/a@${big.descriptor.digest}`];
  const both = await run([...line('both.json'), '-o', path('out')]);
  expect(both.code).toBe(0);
  expect((await readFile(path('out'))).equals(Buffer.from(big.bytes))).toBe(true);
  const one = await run([...line('one.json'), '-o', path('none')]);
  expect(one.code).toBe(7);
  expect(one.err.at(-1)).toMatch(/^ocifetch: Cannot .* have digest .*Have the cache of the named host emptied/);
  expect((await readdir(path('.'))).sort()).toEqual(['both.json', 'one.json', 'out']);
});

test('missing content and a file that cannot be written have their own exit codes, and leave no file', async () => {
  const { name } = await host();
  const { path, plain } = await folder({ 'a/b': '' });
  const missing = await run(['get', '--no-discover', `${name}@${absent}`, '-o', path('out')]);
  expect(missing.code).toBe(4);
  const directory = await run(['get', '--no-discover', `${name}@${digest}`, '-o', path('a')]);
  expect(plain(directory.err)).toEqual([
    'ocifetch: Cannot write file "/dir/a": it is a directory. See "ocifetch get --help".',
  ]);
  const nowhere = await run(['get', '--no-discover', `${name}@${digest}`, '-o', path('c/d')]);
  expect(plain(nowhere.err)).toEqual(['ocifetch: Cannot write file "/dir/c/d": there is no such directory']);
  expect([directory.code, nowhere.code]).toEqual([2, 9]);
  expect(await readdir(path('.'))).toEqual(['a']);
});

test('a device is written directly', async () => {
  const { name } = await host();
  const device = process.platform === 'win32' ? String.raw`\\.\NUL` : '/dev/null';
  expect(await run(['get', '--no-discover', `${name}@${digest}`, '-o', device])).toMatchObject({ code: 0 });
  expect((await stat(device)).isFile()).toBe(false);
});
