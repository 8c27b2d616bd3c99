import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { writeJson, writeJsonLine } from '../../src/cli/io.ts';
import { sampleOf } from '../contract/source.ts';
import { image } from '../copy/support.ts';
import { bundledProgram } from '../support/program.ts';
import { folder, registry, tagged } from './support.ts';

const program = bundledProgram();

const text = sampleOf(Buffer.alloc(200_000, 'x'), 'application/vnd.oci.image.layer.v1.tar');

async function host(): Promise<string> {
  const { port } = await registry({ content: tagged(image('a', { layers: [text] })) });
  return `127.0.0.1:${port}/team/app`;
}

/** Runs a line of the shell in which `$0` is Node and `$1` the program. */
function shell(line: string, ...words: string[]) {
  return new Promise<{ code: unknown; stdout: string; stderr: string }>((ended) => {
    execFile(
      'sh',
      ['-c', line, process.execPath, program.path, ...words],
      { timeout: 15_000 },
      (error, stdout, stderr) => ended({ code: error?.code ?? 0, stdout, stderr }),
    );
  });
}

test('a file on stdout gets every byte, after what is in it', async () => {
  const { path } = await folder({ out: 'before' });
  const reference = `${await host()}@${text.descriptor.digest}`;
  const ended = await shell('exec "$0" "$1" get --no-discover "$2" >> "$3"', reference, path('out'));
  expect(ended).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(await readFile(path('out'), 'latin1')).toBe(`before${'x'.repeat(200_000)}`);
});

test.each(['get', 'manifest', 'tags', 'pull', '--help'])(
  '%s fails if a file on stdout takes only a part of the output',
  async (command) => {
    const name = await host();
    const { path } = await folder({ out: 'x'.repeat(1_048_570) });
    const words: Readonly<Record<string, string[]>> = {
      get: [`${name}@${text.descriptor.digest}`],
      manifest: [name],
      tags: [name],
      pull: ['--json', '--platform', 'all', name, path('layout')],
    };
    const line = 'ulimit -f 2048; file="$2"; shift 2; exec "$0" "$program" "$@" --no-discover >> "$file"';
    const ended = await shell(`program="$1"; ${line}`, path('out'), command, ...(words[command] ?? []));
    expect(ended).toEqual({
      code: 9,
      stdout: '',
      stderr: 'ocifetch: Cannot write the output: the file is larger than this process or file system allows\n',
    });
    // What fits is there.
    expect((await stat(path('out'))).size).toBe(1_048_576);
  },
);

test.runIf(process.platform === 'linux')('a full device on stdout is a failure', async () => {
  const ended = await shell('exec "$0" "$1" tags --no-discover "$2" > /dev/full', await host());
  expect(ended).toEqual({ code: 9, stdout: '', stderr: 'ocifetch: Cannot write the output: the disk is full\n' });
});

test('the work is done even if nobody reads stderr', async () => {
  const { path } = await folder({});
  const line = [program.path, 'pull', '--platform', 'all', '--no-discover', await host(), path('layout')];
  const child = spawn(process.execPath, line, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 15_000 });
  child.stderr.destroy();
  const [[printed], [code]] = await Promise.all([once(child.stdout, 'data'), once(child, 'exit')]);
  expect(String(printed)).toMatch(/@sha256:[0-9a-f]{64}\n$/);
  expect(code).toBe(0);
  expect(await shell('exec "$0" "$1" verify "$2"', path('layout'))).toMatchObject({ code: 0 });
});

test.runIf(process.platform === 'linux')('a full device on stderr does not change the exit code', async () => {
  const { path } = await folder({});
  const name = await host();
  const line = 'exec "$0" "$1" pull --platform all --no-discover "$2" "$3" 2> /dev/full';
  expect(await shell(line, name, path('layout'))).toMatchObject({ code: 0, stdout: expect.stringContaining(name) });
  expect(await shell(line, `${name}:none`, path('layout'))).toMatchObject({ code: 4 });
});

test('JSON has every character that a terminal acts on as an escape, and means the same', () => {
  const value = { text: 'a\u001b\u007f\u009b31m\u202e\u2028\n\u{e0001}b', list: ['ä'] };
  let written = '';
  const stdout = {
    write: (text: string | Uint8Array) => {
      written += String(text);
    },
  };
  for (const write of [writeJson, writeJsonLine]) {
    written = '';
    write({ stdout, stderr: stdout, environment: {} }, value);
    expect(written).not.toMatch(/[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/u);
    expect(JSON.parse(written)).toEqual(value);
  }
});
