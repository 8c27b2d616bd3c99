// npm run test:nodes [-- arguments of vitest]: the tests on every supported Node line, and the package's import on
// the oldest supported releases. The Nodes come from npm, into .nodes (not part of the repository).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The newest release of each line; in CI without the line of this process, on which the tests have already run. */
const lines = ['20', '22', '24', '26'].filter((line) => !(process.env.CI && process.version.startsWith(`v${line}.`)));
/** The oldest releases that `engines` allows. Development tools may need newer ones, so only the package is loaded. */
const oldest = ['20.19.0', '22.12.0'];

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, '.nodes');
const system = process.platform === 'win32' ? 'win' : process.platform;
const program = process.platform === 'win32' ? 'node.exe' : 'node';
const pathOf = (version) => join(folder, 'node_modules', `n${version}`, 'bin', program);

function install() {
  const versions = [...lines, ...oldest];
  if (versions.every((version) => existsSync(pathOf(version)))) return;
  mkdirSync(folder, { recursive: true });
  // Without it npm would use a package.json of a parent folder.
  writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
  const wanted = versions.map((version) => `n${version}@npm:node-${system}-${process.arch}@${version}`);
  const flags = ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', folder];
  const { status } = spawnSync('npm', [...flags, ...wanted], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    console.error(`Cannot install Node ${versions.join(', ')} for ${system}-${process.arch}: npm ended with ${status}`);
    process.exit(1);
  }
}

/** Runs a Node with itself first in PATH, so that programs started by it use it too. */
function run(version, args, stdio) {
  const path = pathOf(version);
  const env = { ...process.env, PATH: `${dirname(path)}${delimiter}${process.env.PATH}` };
  return spawnSync(path, args, { cwd: root, stdio: ['ignore', stdio, 'inherit'], env, encoding: 'utf8' });
}

const load = `
  for (const entry of ['ocifetch', 'ocifetch/server', 'ocifetch/testing']) {
    const names = Object.keys(await import(entry));
    if (names.length === 0) throw new Error(entry + ' exports nothing');
    const { createRequire } = await import('node:module');
    createRequire(process.cwd() + '/')(entry);
  }`;

install();
const results = [];
for (const version of [...lines, ...oldest]) {
  const name = run(version, ['--version'], 'pipe').stdout?.trim() || `v${version} (does not start)`;
  const whole = lines.includes(version);
  const what = whole ? 'tests' : 'import and require';
  console.log(`Node ${name}: ${what}`);
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)];
  const { status } = run(version, whole ? vitest : ['--input-type=module', '--eval', load], 'inherit');
  results.push({ passed: status === 0, line: `Node ${name}: ${what} ${status === 0 ? 'passed' : 'failed'}` });
}
console.log(`\n${results.map(({ line }) => line).join('\n')}`);
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;
