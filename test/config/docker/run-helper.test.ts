import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { runHelper } from '../../../src/config/docker/run-helper.ts';
import { bundleSource } from '../../support/bundled.ts';
import { helperPrograms, isRunning, until } from '../helper-programs.ts';

const programs = helperPrograms();

const failure = async (asked: Promise<unknown>): Promise<{ code: string; message: string }> => {
  const error = await asked.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Error)) throw new Error('it did not fail');
  return { code: (error as Error & { code: string }).code, message: error.message };
};

test('a login is got with "get" and the server as it is', async () => {
  await programs.asked();
  expect(await runHelper('test', 'https://index.docker.io/v1/')).toEqual({
    username: 'user',
    password: 'secret of https://index.docker.io/v1/',
  });
  expect((await programs.asked()).map(({ command }) => command)).toEqual(['get https://index.docker.io/v1/']);
});

test('the user "<token>" means an identity token, and nothing found means no login', async () => {
  expect(await runHelper('test', 'token.example')).toEqual({ identityToken: 'refresh' });
  expect(await runHelper('test', 'empty.example')).toBeUndefined();
  expect(await runHelper('test', 'unknown.example')).toBeUndefined();
});

describe('a failure is reported without secrets', () => {
  test.each([
    ['locked.example', 'UNAUTHORIZED', 'exit status 1, and said "the keychain is locked"'],
    ['complaining.example', 'UNAUTHORIZED', 'exit status 1, and said "no display found"'],
    ['leaking.example', 'UNAUTHORIZED', 'exit status 1, what it said may hold a login and is not shown'],
    ['long.example', 'UNAUTHORIZED', 'and said "cannot use ***"'],
    ['silent.example', 'UNAUTHORIZED', 'exit status 3, and said nothing'],
    ['junk.example', 'UNAUTHORIZED', 'its answer is not an object with Username and Secret'],
    ['half.example', 'UNAUTHORIZED', 'its answer is not an object with Username and Secret'],
    ['flood.example', 'UNAUTHORIZED', 'its output is longer than 262144 bytes'],
  ])('%s', async (server, code, words) => {
    const error = await failure(runHelper('test', server));
    expect(error.code).toBe(code);
    expect(error.message).toContain(
      `Cannot get the login of "${server}" from credential helper "docker-credential-test": `,
    );
    expect(error.message).toContain(words);
    expect(error.message).not.toContain('hunter2');
  });

  test.each(['', '../test', 'a/b', 'a b', 'test;id', 'a\\b', 'a\0'])('no name: %j', async (name) => {
    expect(await failure(runHelper(name, 'a.example'))).toMatchObject({ code: 'INVALID_CONFIG' });
  });

  test('a helper that is not there, or not to be run', async () => {
    const words = {
      missing: 'there is no such program on PATH',
      plain: `"${join(programs.folder, 'docker-credential-plain')}" may not be executed`,
    };
    for (const [name, found] of Object.entries(words)) {
      const error = await failure(runHelper(name, 'a.example'));
      expect(error.code).toBe('INVALID_CONFIG');
      expect(error.message).toContain(`"docker-credential-${name}": ${found}`);
    }
  });
});

test('folders of PATH that are relative are not looked into', async () => {
  const path = process.env.PATH;
  const folder = process.cwd();
  await writeFile(join(programs.folder, 'docker-credential-near'), '#!/bin/false\n', { mode: 0o755 });
  try {
    process.chdir(programs.folder);
    process.env.PATH = ['.', '', 'bin'].join(delimiter);
    expect(await failure(runHelper('near', 'a.example'))).toMatchObject({ code: 'INVALID_CONFIG' });
  } finally {
    process.chdir(folder);
    process.env.PATH = path;
  }
});

test('a helper that takes too long is killed', async () => {
  await programs.asked();
  const error = await failure(runHelper('test', 'hanging.example', { timeout: 400 }));
  expect(error).toMatchObject({ code: 'TIMEOUT' });
  expect(error.message).toContain('no answer in 400 ms');
  for (const { pid } of await programs.asked()) await until(() => !isRunning(pid));
});

test('without a terminal, the processes of a helper are killed with it', async () => {
  const { urlOf, remove } = await bundleSource('src/config/docker/run-helper');
  try {
    const started = join(programs.folder, 'started');
    const script = `#!/bin/sh\nsleep 100 &\necho $! > '${started}'\nwait\n`;
    await writeFile(join(programs.folder, 'docker-credential-parent'), script, { mode: 0o755 });
    const module = JSON.stringify(urlOf('src/config/docker/run-helper'));
    const code = `import { runHelper } from ${module};
      await runHelper('parent', 'a.example', { timeout: 1000 }).catch(({ code }) => console.log(code));`;
    // A session of its own has no terminal.
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { detached: true });
    const told = await text(child.stdout);
    expect(told).toBe('TIMEOUT\n');
    const pid = Number(await readFile(started, 'utf8'));
    expect(pid).toBeGreaterThan(0);
    await until(() => !isRunning(pid));
  } finally {
    await remove();
  }
}, 30_000);

test('a helper is killed when the signal fires', async () => {
  await programs.asked();
  const controller = new AbortController();
  const asked = runHelper('test', 'hanging.example', { signal: controller.signal });
  asked.catch(() => {});
  let pid = 0;
  await until(async () => {
    pid = (await programs.asked())[0]?.pid ?? 0;
    return pid !== 0;
  });
  expect(isRunning(pid)).toBe(true);
  controller.abort(new Error('enough'));
  await expect(asked).rejects.toThrow('enough');
  await until(() => !isRunning(pid));
});

test('a helper need not read its input', async () => {
  await writeFile(
    join(programs.folder, 'docker-credential-deaf'),
    '#!/bin/sh\necho \'{"Username":"u","Secret":"p"}\'\n',
    {
      mode: 0o755,
    },
  );
  expect(await runHelper('deaf', 'x'.repeat(1_000_000))).toEqual({ username: 'u', password: 'p' });
});
