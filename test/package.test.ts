import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

interface LockEntry {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const root = fileURLToPath(new URL('..', import.meta.url));
const text = (path: string): Promise<string> => readFile(join(root, path), 'utf8');
const manifest: Readonly<Record<string, unknown>> & { readonly dependencies: Readonly<Record<string, string>> } =
  JSON.parse(await text('package.json'));
const lock: Readonly<Record<string, LockEntry>> = JSON.parse(await text('package-lock.json')).packages;
const locked = Object.entries(lock).filter(([path]) => path !== '');
const inProduction = locked.filter(([, { dev }]) => !dev).map(([path]) => path);

/** The path of a package and of all that it needs. */
function withDependencies(path: string, found = new Set<string>()): ReadonlySet<string> {
  if (found.has(path)) return found;
  found.add(path);
  for (const name of Object.keys(lock[path]?.dependencies ?? {})) withDependencies(`node_modules/${name}`, found);
  return found;
}

async function filesOf(path: string): Promise<string[]> {
  const entries = await readdir(join(root, path), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function bytesOf(paths: Iterable<string>): Promise<number> {
  const files = (await Promise.all([...paths].map(filesOf))).flat();
  return (await Promise.all(files.map((file) => stat(file)))).reduce((sum, { size }) => sum + size, 0);
}

test('every package in the lock file has its integrity, and no address', () => {
  const isSafe = ({ integrity, resolved }: LockEntry) => /^sha512-/.test(integrity ?? '') && resolved === undefined;
  expect(locked.filter(([, entry]) => !isSafe(entry)).map(([path]) => path)).toEqual([]);
});

test('no package in production has native code or runs a script when it is installed', async () => {
  expect(inProduction.filter((path) => lock[path]?.hasInstallScript)).toEqual([]);
  const files = (await Promise.all(inProduction.map(filesOf))).flat();
  expect(files.filter((file) => /\.(?:node|bare|so|dll|dylib|gyp)$/.test(file))).toEqual([]);
});

test('docs/dependencies.md lists what package.json has', async () => {
  const page = await text('docs/dependencies.md');
  const rows = [...page.matchAll(/^\| `(\S+)` *\| (\S+) *\| (\S+) *\| +(\d+) \| +(\d+) \| (.*?) *\|$/gm)];
  expect(rows.map(([, name]) => name)).toEqual(Object.keys(manifest.dependencies));
  for (const [, name, version, released, packages, size, reason] of rows) {
    const path = `node_modules/${name}`;
    const paths = withDependencies(path);
    expect([name, version, Number(packages)]).toEqual([name, lock[path]?.version, paths.size]);
    expect(released).toMatch(/^20\d\d-\d\d-\d\d$/);
    expect(reason).not.toBe('');
    expect(Math.abs(Number(size) - (await bytesOf(paths)) / 1000), `kB of ${name}`).toBeLessThan(1);
  }
  const megabytes = ((await bytesOf(inProduction)) / 1e6).toFixed(1);
  expect(page).toContain(`${inProduction.length} packages, ${megabytes} MB`);
});

/** What scripts/check-publish.mjs says of a package.json with these fields. */
async function checked(fields: object, repository?: string): Promise<{ status: number | null; found: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-publish-'));
  try {
    const file = join(folder, 'package.json');
    await writeFile(file, JSON.stringify({ name: 'ocifetch', version: '1.0.0', ...fields }));
    const { GITHUB_REPOSITORY: _, ...rest } = process.env;
    const env = {
      ...rest,
      GITHUB_SERVER_URL: 'https://host.test',
      ...(repository && { GITHUB_REPOSITORY: repository }),
    };
    const script = join(root, 'scripts', 'check-publish.mjs');
    const { status, stderr } = spawnSync(process.execPath, [script, file], { env, encoding: 'utf8' });
    return { status, found: stderr };
  } finally {
    await rm(folder, { recursive: true });
  }
}

const complete = {
  repository: { type: 'git', url: 'git+https://host.test/owner/name.git' },
  homepage: 'https://host.test/owner/name#readme',
  bugs: { url: 'https://host.test/owner/name/issues' },
};

test('a complete package.json may be published', async () => {
  expect(await checked(complete)).toEqual({ status: 0, found: '' });
  expect(await checked(complete, 'owner/name')).toEqual({ status: 0, found: '' });
});

test.each([
  ['repository', { ...complete, repository: undefined }],
  ['repository', { ...complete, repository: { type: 'git', url: 'git+ssh://host.test/owner/name' } }],
  ['homepage', { ...complete, homepage: '' }],
  ['bugs', { ...complete, bugs: { url: 'TODO' } }],
  ['version', { ...complete, version: '0.0.0' }],
])('without a usable %s nothing is published, and the message names it', async (name, fields) => {
  const { status, found } = await checked(fields);
  expect(status).toBe(1);
  expect(found).toMatch(/^Cannot publish: package\.json lacks\n/);
  expect([...found.matchAll(/^ {2}"(\w+)"/gm)].map(([, field]) => field)).toEqual([name]);
});

test('nothing is published from another repository than that of package.json', async () => {
  const { status, found } = await checked(complete, 'other/fork');
  expect(status).toBe(1);
  expect(found).toContain('https://host.test/other/fork');
});

test('the workflow and npm publish check package.json and run all checks first', async () => {
  expect(manifest.scripts).toMatchObject({ prepublishOnly: 'node scripts/check-publish.mjs' });
  const workflow = await text('.github/workflows/publish.yml');
  const steps = [
    'node scripts/check-publish.mjs',
    '.ci/run',
    'needs: check',
    'id-token: write',
    'npm publish --provenance',
  ];
  const places = steps.map((step) => workflow.indexOf(step));
  expect(places).not.toContain(-1);
  expect(places).toEqual(places.toSorted((a, b) => a - b));
});

test('every action of a workflow is pinned to a commit, since a tag can be moved', async () => {
  const used = [...(await text('.github/workflows/publish.yml')).matchAll(/uses: (\S+)/g)].map(
    ([, action = '']) => action,
  );
  expect(used.length).toBeGreaterThan(0);
  expect(used.filter((action) => !/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/.test(action))).toEqual([]);
});
