// npm run build, its second step: the command line in a few files, dist/bin or the folder named, with what it depends on. To find, read and
// compile 400 modules takes Node longer than most commands do; the library stays as it is, module by module.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = resolve(root, process.argv[2] ?? join('dist', 'bin'));

/** The folder of the package that a module is part of; undefined for a module of this one. */
function packageOf(module) {
  const found = /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+/.exec(module);
  return found?.[0];
}

/** What the packages in the bundle want to be told wherever their code goes. */
function licences(modules) {
  const packages = new Set(modules.map(packageOf).filter((path) => path !== undefined));
  return [...packages].sort().map((path) => {
    const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
    const file = readdirSync(path).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`Cannot bundle "${name}": there is no licence file in ${relative(root, path)}`);
    return `${name} ${version} (${license})\n\n${readFileSync(join(path, file), 'utf8').trim()}\n`;
  });
}

const noHttp2 = '\0no-http2.cjs';

/**
 * Puts scripts/cli-undici.mjs in the place of the library's own import of undici, and nothing in the place of HTTP/2,
 * which is off: node:http2 alone takes 12 ms to load.
 */
const slimUndici = {
  name: 'slim-undici',
  resolveId(source, importer) {
    if (source.endsWith('/load-undici.ts')) return join(root, 'scripts', 'cli-undici.mjs');
    return source === './client-h2.js' && importer && packageOf(importer)?.endsWith('undici') ? noHttp2 : undefined;
  },
  load: (id) => (id === noHttp2 ? 'module.exports = undefined;' : undefined),
};

/**
 * What is loaded together: every file costs half a millisecond more. `base` is all that `--help` needs; `client` brings the
 * library along.
 */
const groups = [
  { name: 'base', test: /src[\\/]cli[\\/](?:io|command|interrupted|parse|units)\.ts$/, priority: 3 },
  { name: 'store', test: /src[\\/](?:copy|store)[\\/]/, priority: 2 },
  { name: 'client', test: /src[\\/]cli[\\/](?:client|progress[\\/]watch)\.ts$/, priority: 1 },
];

rmSync(folder, { recursive: true, force: true });
const bundle = await rolldown({
  input: { ocifetch: join(root, 'src', 'cli', 'main.ts') },
  platform: 'node',
  // What a server needs only if its file says so, and its operator installs.
  external: Object.keys(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).peerDependencies ?? {}),
  // What the library loads when it is used may be in a chunk that a command needs at once.
  checks: { ineffectiveDynamicImport: false },
  plugins: [slimUndici],
  // As tsc is told: Node 20 knows no `using`.
  transform: { target: 'es2022' },
});
const { output } = await bundle.write({ dir: folder, format: 'esm', minify: true, codeSplitting: { groups } });
await bundle.close();
const modules = output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
const rule = `\n${'-'.repeat(80)}\n\n`;
writeFileSync(join(folder, 'LICENSES.txt'), licences(modules).join(rule));
const bytes = output.reduce((sum, file) => sum + (file.type === 'chunk' ? file.code.length : 0), 0);
console.log(`${relative(root, folder)}: ${output.length} files, ${Math.round(bytes / 1024)} KiB`);
