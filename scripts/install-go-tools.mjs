// node scripts/install-go-tools.mjs [--bench]: builds the programs that the tests against other clients need and Debian has no package of,
// with the machine's Go and its module proxy, into .tools/bin (not part of the repository). --bench: also what only the
// benchmarks compare with.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The Go package of each program, and the version that the tests were written for. */
const programs = {
  regctl: ['github.com/regclient/regclient/cmd/regctl', 'v0.11.7'],
  crane: ['github.com/google/go-containerregistry/cmd/crane', 'v0.22.1'],
  oras: ['oras.land/oras/cmd/oras', 'v1.3.6'],
  minio: ['github.com/minio/minio', 'v0.0.0-20260212201848-7aac2a2c5b7c'],
  versitygw: ['github.com/versity/versitygw/cmd/versitygw', 'v1.8.0'],
  conformance: ['github.com/opencontainers/distribution-spec/conformance', 'v0.0.0-20260831232431-97274622c111'],
};

/** Packages of tests, which are built as a program. */
const suites = {
  'conformance-1.0': ['github.com/opencontainers/distribution-spec/conformance', 'v0.0.0-20231101194043-f2182352d4cc'],
};

/** Programs of the benchmarks, which take minutes to build. */
const measured = {
  registry: ['github.com/distribution/distribution/v3/cmd/registry', 'v3.1.2'],
};

/** Programs whose source is in the tests, as no program of those modules does what the tests need. */
const own = { 'oras-layout': fileURLToPath(new URL('../test/interop/support/oras-layout', import.meta.url)) };

const folder = fileURLToPath(new URL('../.tools/bin', import.meta.url));
const suffix = process.platform === 'win32' ? '.exe' : '';
/** PATH also has the folder where Go's own archive is unpacked, which may not be on it. */
const env = {
  ...process.env,
  PATH: [process.env.PATH ?? '', '/usr/local/go/bin'].join(delimiter),
  GOBIN: folder,
  // `go install` of another module needs this, whatever the user has set.
  GOFLAGS: '-mod=mod',
  CGO_ENABLED: '0',
};

const go = (args, stdout, cwd) =>
  spawnSync(`go${suffix}`, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', stdout, 'inherit'] });

/** Whether a program is installed, built from this version. */
function isInstalled(name, version) {
  const file = join(folder, name + suffix);
  return existsSync(file) && go(['version', '-m', file], 'pipe').stdout.includes(`\t${version}\t`);
}

if (go(['version'], 'ignore').error) {
  console.error('Cannot build programs: no go on PATH or in /usr/local/go/bin (https://go.dev/doc/install)');
  process.exit(1);
}
const wanted = process.argv.includes('--bench') ? { ...programs, ...measured } : programs;
for (const [name, [path, version]] of Object.entries(wanted)) {
  if (isInstalled(name, version)) continue;
  console.log(`${name}: go install ${path}@${version}`);
  const { status } = go(['install', `${path}@${version}`], 'inherit');
  if (status === 0) continue;
  console.error(`Cannot build ${name}: go ended with ${status}`);
  process.exitCode = 1;
}
for (const [name, [path, version]] of Object.entries(suites)) {
  if (isInstalled(name, version)) continue;
  console.log(`${name}: go test -c ${path}@${version}`);
  // `go test` takes no version: a module of its own names it.
  const module = mkdtempSync(join(tmpdir(), 'ocifetch-suite-'));
  writeFileSync(join(module, 'go.mod'), 'module suite\n');
  const output = join(folder, name + suffix);
  const isBuilt = [
    ['get', `${path}@${version}`],
    ['test', '-c', '-o', output, path],
  ].every((args) => go(args, 'inherit', module).status === 0);
  rmSync(module, { recursive: true });
  if (isBuilt) continue;
  console.error(`Cannot build ${name}`);
  process.exitCode = 1;
}
for (const [name, source] of Object.entries(own)) {
  // Go itself skips the build if nothing has changed.
  const output = join(folder, name + suffix);
  const { status } = go(['build', '-C', source, '-mod=readonly', '-o', output, '.'], 'inherit');
  if (status === 0) continue;
  console.error(`Cannot build ${name}: go ended with ${status}`);
  process.exitCode = 1;
}
