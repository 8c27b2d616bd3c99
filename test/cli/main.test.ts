import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { commands } from '../../src/cli/commands.ts';
import { exitCodes } from '../../src/cli/exit-codes.ts';
import { folder, run } from './support.ts';

/** A wrong command line, and the message. */
const wrong: readonly [args: readonly string[], told: string][] = [
  [['plna', 'a'], 'Unknown command "plna": did you mean "plan"?'],
  [
    ['frobnicate'],
    'Unknown command "frobnicate": there are pull, get, manifest, config, tags, referrers, ls, cat, verify, gc, serve, plan, doctor, config check, config show, config schema, config convert.',
  ],
  [
    ['config'],
    'Command "config" needs more: ocifetch config REF, or one of: config check, config show, config schema, config convert.',
  ],
  [
    ['config', 'chekc'],
    'Unknown command "config chekc": did you mean "config check"? As a reference it is "docker.io/library/chekc".',
  ],
  [['config', '--json', 'shwo', '--no-discover'], expect.stringContaining('did you mean "config show"?')],
  [['tag', 'alpine'], 'Unknown command "tag": did you mean "tags"?'],
  [['pull', 'alpine'], 'Command "pull" needs more: ocifetch pull REF DIR.'],
  [['pull', '--platfrom', 'linux', 'a', 'b'], 'Unknown flag "--platfrom": did you mean "--platform"?'],
  [
    ['pull', '--no-discover', '--concurrency', '0', 'a', 'b'],
    'Flag "--concurrency" needs a number from 1 to 999: "0".',
  ],
  [
    ['get', '--no-discover', '--range', '5-1', `a@sha256:${'0'.repeat(64)}`],
    'Flag "--range" needs bytes as A-B, A- or -N: "5-1".',
  ],
  [['get', '--json', 'a'], 'Flag "--json" needs -o FILE: stdout is for the content.'],
  [
    ['get', '--no-discover', 'a:1'],
    'Command "get" needs a digest: NAME@sha256:…; "ocifetch manifest --digest a:1" prints the digest of a tag.',
  ],
  [['cat', '--json', 'a', 'b'], 'Flag "--json" needs -o FILE: stdout is for the content.'],
  [['cat', '--json', '-o', '-', 'a', 'b'], 'Flag "--json" needs -o FILE: stdout is for the content.'],
  [['pull', 'a', ''], 'Command "pull" needs a directory, and its name is empty: ocifetch pull REF DIR.'],
  [['verify', ''], 'Command "verify" needs a directory, and its name is empty: ocifetch verify DIR.'],
  [['plan'], 'Command "plan" needs more: ocifetch plan REF.'],
  [['plan', 'a', 'b'], 'Command "plan" takes no "b": ocifetch plan REF.'],
  [['plan', '--jsn', 'a'], 'Unknown flag "--jsn": did you mean "--json"?'],
  [['plan', '--host-dir=x', 'a'], 'Unknown flag "--host-dir": did you mean "--hosts-dir"?'],
  [['plan', '--constructor', 'a'], 'Unknown flag "--constructor".'],
  [['plan', '--json=yes', 'a'], 'Flag "--json" takes no value.'],
  [['plan', 'a', '--config'], 'Flag "--config" needs a value: --config FILE.'],
  [['plan', '--timeout', '5', 'a'], 'Unknown flag "--timeout".'],
  [
    ['doctor', '--no-discover', '--timeout', 'soon', 'a'],
    'Flag "--timeout" needs seconds above 0 and at most 3600: "soon".',
  ],
  [['pull', '--name', 'a', '--name=b', 'x', 'y'], 'Flag "--name" is given twice: "a" and "b".'],
  [['get', '-o', 'a', '--output', 'a', 'x'], 'Flag "--output" is given twice: "a" and "a".'],
  [
    ['ls', '--platform', 'linux', '--platform', 'windows', 'x'],
    'Flag "--platform" is given twice: "linux" and "windows".',
  ],
  [['hepl'], 'Unknown command "hepl": did you mean "help"?'],
  [['help', 'plul'], 'Unknown command "plul": did you mean "pull"?'],
  [['config', 'convert'], 'Command "config convert" needs --to: hosts.toml, registries.yaml, ocifetch.'],
  [['config', 'convert', '--to', 'host.toml'], 'Unknown format "host.toml": did you mean "hosts.toml"?'],
];

test.each(wrong)('%j is a wrong command line', async (args, told) => {
  const { code, err } = await run(args);
  const [text = ''] = err;
  // It names one help, that of the command if there is one.
  expect(text.match(/--help"/g)).toHaveLength(1);
  expect(text.replace(/^ocifetch: /, '').replace(/ See "ocifetch [\w ]*--help"\.$/, '')).toEqual(told);
  expect({ code, lines: err.length }).toEqual({ code: 2, lines: 1 });
});

test('a wrong reference or file is reported in a paragraph, and as JSON', async () => {
  const { path, plain } = await folder({ 'config.yaml': 'registry: {}\n' });
  const reference = await run(['plan', '--json', '--no-discover', 'a//b']);
  expect(reference.err).toEqual([
    'ocifetch: Cannot parse reference "a//b": empty path component. A reference is [HOST[:PORT]/]NAME[:TAG][@DIGEST], such as docker.io/library/alpine:3.20.',
  ]);
  expect(JSON.parse(reference.out.join(''))).toEqual({
    error: { code: 'INVALID_REFERENCE', message: 'Cannot parse reference "a//b": empty path component' },
  });
  const file = await run(['plan', '--config', path('config.yaml'), 'a']);
  expect(plain(file.err).join('\n')).toMatch(
    /^ocifetch: Cannot use config file "\/dir\/config\.yaml": .*:1:1: .*"registry".*did you mean "registries"\?.* Run "ocifetch config check" on the file\.$/,
  );
  expect([reference.code, file.code]).toEqual([2, 3]);
});

test.each([
  ['--platform', 'a b c', /^ocifetch: Cannot (?:parse|use) platform "a b c" for "localhost:9\/a": [^:]*$/],
  ['--name', '../x', /^ocifetch: Cannot use name "\.\.\/x" for "localhost:9\/a": [^"]*$/],
])('a wrong %s is reported without explaining references', async (flag, value, told) => {
  const { path } = await folder({});
  const { code, err } = await run(['pull', '-q', '--no-discover', flag, value, 'localhost:9/a', path('layout')]);
  expect({ code, lines: err.length }).toEqual({ code: 2, lines: 1 });
  expect(err[0]).toMatch(told);
  expect(err[0]).not.toContain('A reference is');
});

test('a file that does not exist is reported without the advice to check it', async () => {
  const { path, plain } = await folder({});
  const { code, err } = await run(['plan', '--config', path('none.yaml'), 'a']);
  expect(plain(err)).toEqual([
    expect.stringMatching(/^ocifetch: Cannot read config file "\/dir\/none\.yaml": no such file$/),
  ]);
  expect(err.join('')).not.toContain('config check');
  expect(code).toBe(3);
});

test('a stack is shown only for DEBUG', async () => {
  const args = ['plan', '--no-discover', 'a//b'];
  expect((await run(args)).err.join('\n')).not.toMatch(/\n +at /);
  expect((await run(args, { DEBUG: '1' })).err.join('\n')).toMatch(/\n +at /);
});

test('only terminals get colours, and not with NO_COLOR', async () => {
  const args = ['plan', '--no-discover', 'a'];
  const coloured = async (environment: Record<string, string>, isTTY: boolean): Promise<boolean> =>
    (await run(args, environment, isTTY)).out.join('').includes('\u001b[');
  expect(await coloured({}, true)).toBe(true);
  expect(await coloured({ NO_COLOR: '1' }, true)).toBe(false);
  expect(await coloured({ TERM: 'dumb' }, true)).toBe(false);
  expect(await coloured({}, false)).toBe(false);
});

test('the program and each command have a help, with examples', async () => {
  const { code, out } = await run(['--help']);
  expect(out).toEqual(expect.arrayContaining([expect.stringMatching(/^ {2}plan REF +print the hosts/)]));
  for (const meaning of Object.values(exitCodes))
    expect(out.join('\n')).toMatch(new RegExp(`^ {2}${meaning} +\\w`, 'm'));
  expect(code).toBe(0);
  for (const { name } of commands) {
    const help = await run([...name.split(' '), '-h']);
    expect(help.out[0]).toMatch(new RegExp(`^Usage: ocifetch ${name} `));
    expect(help.out).toContain('Examples:');
    expect(help.code).toBe(0);
  }
  expect(await run([])).toMatchObject({ code: 2, out: [] });
});

test.each([
  [['help'], ['--help']],
  [['help', 'help'], ['--help']],
  [
    ['help', 'pull'],
    ['pull', '--help'],
  ],
  [
    ['help', 'config', 'check'],
    ['config', 'check', '--help'],
  ],
  [
    ['help', 'pull', '--json', 'a', 'b', 'c'],
    ['pull', '--help'],
  ],
])('%j prints what %j prints', async (args, same) => {
  const printed = await run(args);
  expect(printed).toEqual(await run(same));
  expect(printed).toMatchObject({ code: 0, err: [] });
});

test('the version is that of the package', async () => {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  expect(await run(['--version'])).toEqual({ code: 0, out: [version], err: [] });
});

test('the exit codes of the documentation are those of the program', async () => {
  const text = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| (\d+) \| /gm)].map(([, code]) => Number(code));
  expect(rows).toEqual(Object.values(exitCodes));
});

test('no command line makes it throw', async () => {
  const word = fc.oneof(
    fc.constantFrom(
      'plan',
      'config',
      'check',
      'show',
      'convert',
      '--to',
      '--json',
      '--',
      '-',
      '-x',
      '--as',
      '__proto__',
    ),
    fc.string({ maxLength: 6 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 4 }), async (args) => {
      const { code, err } = await run([...args, '--no-discover'], {});
      expect(Object.values(exitCodes)).toContain(code);
      expect(err.join('\n')).not.toMatch(/\n +at .*\.ts:/);
    }),
    { numRuns: 100 },
  );
});
