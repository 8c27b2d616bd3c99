import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleSource } from '../support/bundled.ts';

/* The soak programs, as `npm run soak:…` runs them, with fewer operations. */

let bundled: Awaited<ReturnType<typeof bundleSource>>;
beforeAll(async () => {
  bundled = await bundleSource('soak/exchanges', 'soak/aborts', 'soak/mirror');
}, 60_000);
afterAll(() => bundled.remove());

const run = (...words: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> =>
  new Promise((ended) => {
    const [program = '', ...rest] = words;
    execFile(process.execPath, [fileURLToPath(bundled.urlOf(`soak/${program}`)), ...rest], (error, stdout, stderr) =>
      ended({ code: error?.code ?? 0, stdout, stderr }),
    );
  });

test('hundreds of exchanges, half of which fail, leave nothing behind', async () => {
  const ended = await run('exchanges', '100');
  expect(ended).toEqual({ code: 0, stderr: '', stdout: expect.stringMatching(/soak:exchanges: all is level\n$/) });
}, 120_000);

test('hundreds of random aborts leave no rejection unhandled, and nothing open', async () => {
  const ended = await run('aborts', '100');
  expect(ended).toEqual({ code: 0, stderr: '', stdout: expect.stringMatching(/soak:aborts: all is level\n$/) });
}, 120_000);

test('many clients of a mirror at once get the right bytes by one request upstream', async () => {
  const ended = await run('mirror', '40', '4');
  expect(ended).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/40 clients, 1 request upstream/) });
}, 120_000);

test('what grows is reported, and fails', async () => {
  const ended = await run('exchanges', '60', 'leak');
  expect(ended).toMatchObject({ code: 1, stderr: expect.stringMatching(/listeners grew from \d+ to \d+/) });
}, 120_000);
