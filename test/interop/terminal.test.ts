import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleProgram } from '../support/program.ts';
import { createCleanup } from './support/cleanup.ts';
import { type SlowRegistry, startSlowRegistry } from './support/slow-registry.ts';
import { describeWith, locate } from './support/tools.ts';

let program: string;
const run = promisify(execFile);

describeWith(['tmux'], 'the progress of a pull on a terminal', () => {
  const cleanup = createCleanup();
  let slow: SlowRegistry;
  let folder: string;
  let socket: string;

  const tmux = async (...args: string[]): Promise<string> =>
    (await run(locate('tmux') ?? 'tmux', ['-u', '-S', socket, ...args])).stdout;
  const shown = async (): Promise<string[]> => (await tmux('capture-pane', '-p')).trimEnd().split('\n');
  const type = (text: string): Promise<string> => tmux('send-keys', text, 'Enter');
  /** The rows of the terminal, once they pass the test. */
  const until = async (test: (rows: string[]) => boolean): Promise<string[]> => {
    for (let waited = 0; waited < 20_000; waited += 100) {
      const rows = await shown();
      if (test(rows)) return rows;
      await wait(100);
    }
    throw new Error(`the terminal never showed the expected rows:\n${(await shown()).join('\n')}`);
  };

  beforeAll(async () => {
    const bundle = await bundleProgram();
    cleanup.add(bundle.remove);
    program = bundle.program;
    slow = await startSlowRegistry(cleanup, { layers: 12, largest: 3_000_000, rate: 500_000 });
    folder = await cleanup.folder();
    socket = join(folder, 'tmux');
    await tmux('-f', '/dev/null', 'new-session', '-d', '-x', '80', '-y', '24', "PS1='$ ' exec sh");
    cleanup.add(() => tmux('kill-server'));
  }, 120_000);
  afterAll(() => cleanup.close());

  const pull = (name: string): string =>
    `clear; ${process.execPath} ${program} pull ${slow.reference} ${join(folder, name)} --no-discover`;
  const isRunning = (line: string): boolean => /^[0-9a-f]{12} {2}[━─]* +\d+% +\d/.test(line);

  const hasBytes = (line: string): boolean => /^[0-9a-f]{12} .*\b[1-9]\d*%/.test(line);

  test('each content has one line, also after the terminal is resized, and Ctrl-C restores the terminal', async () => {
    await type(pull('first'));
    const wide = await until((rows) => rows.filter(isRunning).length >= 4);
    expect(wide.at(-1)).toMatch(/^\d+ done, \d+ under way, \d+ queued {2}/);
    await tmux('resize-window', '-x', '60', '-y', '20');
    const narrow = await until((rows) => rows.some(hasBytes) && rows.every((row) => row.length < 60));
    const digests = narrow.flatMap((row) => /^[0-9a-f]{12}(?= )/.exec(row) ?? []);
    expect(new Set(digests).size).toBe(digests.length);
    expect(narrow.filter((row) => / under way/.test(row))).toHaveLength(1);
    await tmux('send-keys', 'C-c');
    const left = await until((rows) => rows.at(-1) === '$');
    // The terminal may wrap it anywhere.
    const text = left.join('').replaceAll(' ', '');
    expect(text).toMatch(/ocifetch:interrupted:about.*arekeptin.*,andthesamecommandresumesfromthere\./);
    expect(left.some(isRunning)).toBe(false);
    expect((await tmux('display-message', '-p', '#{cursor_flag}')).trim()).toBe('1');
  });

  test('resumed content is marked, and only a summary remains', async () => {
    await tmux('resize-window', '-x', '80', '-y', '24');
    await type(pull('second'));
    await until((rows) => rows.filter(isRunning).length >= 4);
    await wait(1_000);
    await tmux('send-keys', 'C-c');
    await until((rows) => rows.at(-1) === '$');
    await type(pull('second'));
    const resumed = await until((rows) => rows.filter((row) => isRunning(row) && row.includes('↻')).length >= 3);
    expect(resumed.every((row) => row.length < 80)).toBe(true);
    const end = await until((rows) => rows.at(-1) === '$');
    expect(end.join('\n')).toMatch(/^pulled /m);
    expect(end.join('\n')).toMatch(/^ {2}not downloaded: .* resumed$/m);
    expect(end.some(isRunning)).toBe(false);
  });
});
