import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundledProgram } from '../support/program.ts';

/* The scenarios of `npm run bench`, with tiny contents, one round and without other programs. */

const root = fileURLToPath(new URL('../..', import.meta.url));
const program = bundledProgram();
let folder = '';

/** The runner with its programs, module by module, as tsc compiles it: programs are started by the names of their files. */
beforeAll(async () => {
  await mkdir(join(root, '.build'), { recursive: true });
  folder = await mkdtemp(join(root, '.build', 'benchmarks-'));
  const paths = (await readdir(join(root, 'bench'), { recursive: true })).filter((path) => path.endsWith('.ts'));
  const bundle = await rolldown({
    input: paths.map((path) => join(root, 'bench', path)),
    platform: 'node',
    resolve: { alias: { 'ocifetch/server': join(root, 'src/server/index.ts'), ocifetch: join(root, 'src/index.ts') } },
    external: (source) => /^[a-z]/.test(source) && !source.startsWith('ocifetch'),
    treeshake: false,
    transform: { target: 'es2022' },
  });
  await bundle.write({ dir: folder, preserveModules: true, preserveModulesRoot: root });
  await bundle.close();
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Printed {
  readonly scenario: string;
  readonly lacking: readonly string[];
  readonly works: Readonly<Record<string, Readonly<Record<string, readonly Readonly<Record<string, number>>[]>>>>;
}

const run = (...args: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> =>
  new Promise((ended) => {
    const env = { ...process.env, OCIFETCH_BENCH_PROGRAM: program.path };
    const options = { env, maxBuffer: 2 ** 24 };
    execFile(process.execPath, [join(folder, 'bench', 'main.js'), ...args], options, (error, stdout, stderr) =>
      ended({ code: error?.code ?? 0, stdout, stderr }),
    );
  });

test('every scenario is listed', async () => {
  const { code, stdout } = await run('--list');
  const files = (await readdir(join(root, 'bench', 'scenarios'))).map((file) => file.replace('.ts', ''));
  expect(stdout.match(/^\S+/gm)?.sort()).toEqual(files.sort());
  expect(code).toBe(0);
});

test('a scenario that does not exist is named, and nothing runs', async () => {
  const { code, stderr } = await run('nothing');
  expect({ code, stderr }).toEqual({ code: 1, stderr: 'There is no scenario "nothing"\n' });
});

test('every scenario measures each of its ways once, in numbers', async () => {
  const ended = await run('all', '--small', '--no-peers', '--rounds', '1', '--json');
  expect(ended.code, ended.stderr).toBe(0);
  const printed = ended.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Printed);
  expect(printed.length).toBeGreaterThan(8);
  for (const { scenario, works } of printed) {
    const ways = Object.values(works).flatMap((work) => Object.values(work));
    expect(ways.length, scenario).toBeGreaterThan(0);
    for (const runs of ways) {
      expect(runs, scenario).toHaveLength(1);
      expect(runs[0]?.['wall s'], scenario).toBeGreaterThan(0);
      expect(Object.values(runs[0] ?? {}).every(Number.isFinite), scenario).toBe(true);
    }
  }
}, 120_000);
