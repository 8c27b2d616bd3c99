import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { folder, install, must, project, run, script } from './installed.ts';

const works = { bytes: 300_000, checked: 3, wrong: 0, code: 'NOT_FOUND', mirrored: 'docker.io', ours: true };
const resultOf = (out: string): unknown => JSON.parse(out.split('\n').find((line) => line.startsWith('{')) ?? out);

/** Without the thing a suite needs, it is left out, and says what is missing; in CI it fails. */
function needs(found: boolean, what: string): typeof test {
  if (found) return test;
  console.error(`missing: ${what}`);
  return ((name: string) =>
    test(name, (context) => {
      if (process.env.CI) throw new Error(`missing: ${what}`);
      context.skip();
    })) as unknown as typeof test;
}

const [major = ''] = process.versions.node.split('.');
/** A Node of a line: this one, or the one that `npm run test:nodes` has installed. */
function nodeOf(line: string): string {
  if (line === major) return process.execPath;
  return fileURLToPath(new URL(`../../.nodes/node_modules/n${line}/bin/node`, import.meta.url));
}

let archive = '';
beforeAll(() => {
  archive = install();
});

test('it works in plain Node', () => {
  expect(resultOf(must(process.execPath, ['main.mjs']))).toEqual(works);
});

describe('runners whose tests are in a realm of their own', () => {
  test('Jest', () => {
    const config = JSON.stringify({
      testEnvironment: 'node',
      transform: {},
      testMatch: ['**/suite.test.mjs'],
      testPathIgnorePatterns: ['/pnp/', '/pnpm/'],
      modulePathIgnorePatterns: ['/pnp/', '/pnpm/'],
    });
    must(process.execPath, ['--experimental-vm-modules', script('jest/bin/jest.js'), '--config', config]);
  });

  test.each(['vmThreads', 'vmForks', 'threads'])('vitest, pool %s', (pool) => {
    must(process.execPath, [
      script('vitest/vitest.mjs'),
      'run',
      '--globals',
      '--pool',
      pool,
      '--dir',
      '.',
      './suite.test.mjs',
    ]);
  });

  test("happy-dom, which has an AbortSignal that is not Node's", () => {
    must(process.execPath, [
      script('vitest/vitest.mjs'),
      'run',
      '--globals',
      '--environment',
      'happy-dom',
      './suite.test.mjs',
    ]);
  });
});

describe('package managers', () => {
  test("Yarn's Plug'n'Play", () => {
    const cwd = project('pnp', archive);
    writeFileSync(
      join(cwd, '.yarnrc.yml'),
      'enableGlobalCache: false\nenableTelemetry: false\nenableImmutableInstalls: false\n',
    );
    writeFileSync(join(cwd, 'yarn.lock'), '');
    const yarn = script('@yarnpkg/cli-dist/bin/yarn.js');
    must(process.execPath, [yarn, 'install'], { cwd });
    expect(resultOf(must(process.execPath, [yarn, 'node', 'main.mjs'], { cwd }))).toEqual(works);
  });

  test('pnpm', () => {
    const cwd = project('pnpm', archive);
    must(process.execPath, [script('pnpm/bin/pnpm.cjs'), 'install', '--ignore-workspace'], { cwd });
    expect(resultOf(must(process.execPath, ['main.mjs'], { cwd }))).toEqual(works);
  });
});

describe('bundlers', () => {
  /** Runs what a bundler has written where only undici is installed, or nothing. */
  const runBundle = (name: string, file: string, isBare = false): unknown => {
    const cwd = isBare ? join(tmpdir(), `toolchains-${process.pid}-${name}`) : folder;
    if (!isBare) return resultOf(run(process.execPath, [join('out', name, file)]).out);
    rmSync(cwd, { recursive: true, force: true });
    must('cp', ['-r', join(folder, 'out', name), cwd]);
    try {
      return resultOf(run(process.execPath, [join(cwd, file)]).out);
    } finally {
      rmSync(cwd, { recursive: true, force: true });
    }
  };
  const esbuild = (...options: string[]): string =>
    must(process.execPath, [script('esbuild/bin/esbuild'), 'main.mjs', '--bundle', '--platform=node', ...options]);

  test('esbuild, CommonJS, with everything in it', () => {
    esbuild('--outfile=out/esbuild-cjs/main.cjs', '--format=cjs');
    expect(runBundle('esbuild-cjs', 'main.cjs', true)).toEqual(works);
  });

  test('esbuild, ESM, with everything in it, in one file, minified or in chunks, and with undici left out', () => {
    for (const [name, ...more] of [
      ['esbuild-all'],
      ['esbuild-small', '--minify'],
      ['esbuild-chunks', '--splitting', '--out-extension:.js=.mjs'],
    ] as const) {
      const out = name === 'esbuild-chunks' ? `--outdir=out/${name}` : `--outfile=out/${name}/main.mjs`;
      esbuild(out, '--format=esm', ...more);
      expect(runBundle(name, 'main.mjs', true)).toEqual(works);
    }
    esbuild('--outfile=out/esbuild/main.mjs', '--format=esm', '--external:undici');
    expect(runBundle('esbuild', 'main.mjs')).toEqual(works);
  });

  test('rolldown, with everything in it', () => {
    must(process.execPath, [
      script('rolldown/bin/cli.mjs'),
      'main.mjs',
      '--platform',
      'node',
      '--dir',
      'out/rolldown',
      '--entry-file-names',
      '[name].mjs',
    ]);
    expect(runBundle('rolldown', 'main.mjs', true)).toEqual(works);
  });

  const rollup = (name: string, ...more: string[]): string =>
    must(process.execPath, [
      script('rollup/dist/bin/rollup'),
      'main.mjs',
      '--dir',
      `out/${name}`,
      '--format',
      'es',
      '--entryFileNames',
      '[name].mjs',
      '--chunkFileNames',
      '[name]-[hash].mjs',
      '-p',
      'node-resolve={preferBuiltins:true,exportConditions:["node"]}',
      '-p',
      'commonjs',
      '-p',
      'json',
      ...more,
    ]);

  test('rollup: with undici left out it works; otherwise it does, or the error names that setting', () => {
    rollup('rollup', '--external', 'undici');
    expect(runBundle('rollup', 'main.mjs')).toEqual(works);
    rollup('rollup-all');
    const refused = { code: 'UNSUPPORTED', message: expect.stringContaining("external: ['undici']") };
    expect([works, refused]).toContainEqual(runBundle('rollup-all', 'main.mjs', true));
  });

  test('webpack, with everything in it, and with undici left out', () => {
    for (const [name, more] of [
      ['webpack-all', ''],
      ['webpack', "externals: { undici: 'module undici' },"],
    ] as const) {
      const config = `export default { mode: 'development', devtool: false, target: 'node20', entry: './main.mjs', ${more}
        output: { path: ${JSON.stringify(join(folder, 'out', name))}, filename: 'main.mjs', module: true, chunkFormat: 'module' },
        experiments: { outputModule: true } };`;
      writeFileSync(join(folder, `${name}.config.mjs`), config);
      must(process.execPath, [script('webpack-cli/bin/cli.js'), '--config', `${name}.config.mjs`]);
      expect(runBundle(name, 'main.mjs', name === 'webpack-all')).toEqual(works);
    }
  });
});

describe('runtimes', () => {
  for (const [line, more] of [
    ['24', []],
    ['26', ['--allow-net']],
  ] as const) {
    const node = nodeOf(line);
    needs(existsSync(node), `Node ${line}, which "npm run test:nodes" installs`)(
      `the permission model of Node ${line}, which forbids to sync files`,
      () => {
        const flags = ['--no-warnings', '--permission', '--allow-fs-read=*', '--allow-fs-write=*', ...more];
        expect(resultOf(must(node, [...flags, 'main.mjs']))).toEqual(works);
      },
    );
  }

  test('a worker', () => {
    const start = `new (require('node:worker_threads').Worker)('./main.mjs')`;
    expect(resultOf(must(process.execPath, ['--eval', start]))).toEqual(works);
  });

  const isRoot = process.getuid?.() === 0;
  needs(isRoot && run('setpriv', ['--version'], { cwd: tmpdir() }).status === 0, 'setpriv, and to be root')(
    'a uid that the system does not know, without a home',
    () => {
      const cwd = join(tmpdir(), `toolchains-${process.pid}`);
      mkdirSync(cwd);
      chmodSync(cwd, 0o777);
      try {
        must('cp', ['-r', join(folder, 'node_modules', '.'), join(cwd, 'node_modules')]);
        for (const name of ['main.mjs', 'scenario.mjs']) must('cp', [join(folder, name), cwd]);
        const as = ['--reuid=987654', '--regid=987654', '--clear-groups', 'env', '-u', 'HOME', process.execPath];
        expect(resultOf(must('setpriv', [...as, 'main.mjs'], { cwd }))).toEqual(works);
        const cli = join(cwd, 'node_modules/ocifetch/dist/bin/ocifetch.js');
        expect(must('setpriv', [...as, cli, 'config', 'check'], { cwd })).toContain('no home directory');
        expect(must('setpriv', [...as, cli, 'plan', 'alpine'], { cwd })).toContain('registry-1.docker.io');
      } finally {
        rmSync(cwd, { recursive: true, force: true });
      }
    },
  );
});
