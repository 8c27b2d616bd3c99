import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Where everything is installed: not in the repository, whose tsconfig.json and packages bundlers would find. */
export const folder = join(tmpdir(), 'ocifetch-toolchains');

export interface Ran {
  readonly status: number | null;
  readonly out: string;
}

/** Runs a program to its end; `out` is all that it printed. */
export function run(command: string, args: readonly string[], options: { cwd?: string; env?: object } = {}): Ran {
  const { cwd = folder, env = {} } = options;
  // Not the environment of the vitest that runs this, which the vitest and Jest below would take for their own.
  const { VITEST: _, NODE_ENV: __, NODE_OPTIONS: ___, ...rest } = process.env;
  const given = { cwd, env: { ...rest, NO_COLOR: '1', ...env } as NodeJS.ProcessEnv, encoding: 'utf8' as const };
  const { status, stdout, stderr, error } = spawnSync(command, args, { ...given, timeout: 300_000 });
  return { status, out: `${stdout ?? ''}${stderr ?? ''}${error ? String(error) : ''}` };
}

/** Runs a program that must succeed. */
export function must(command: string, args: readonly string[], options: { cwd?: string; env?: object } = {}): string {
  const { status, out } = run(command, args, options);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${out}`);
  return out;
}

/** The script of an installed program. */
export const script = (path: string): string => join(folder, 'node_modules', path);

/** Packs the package and installs it with the pinned toolchains; returns the path of the archive. */
export function install(): string {
  mkdirSync(folder, { recursive: true });
  must('npm', ['run', 'build'], { cwd: root });
  for (const name of readdirSync(folder)) if (name.endsWith('.tgz')) rmSync(join(folder, name));
  must('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: root });
  const archive = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  if (archive === undefined) throw new Error(`npm pack has put nothing into "${folder}"`);
  for (const name of ['package.json', 'package-lock.json']) {
    copyFileSync(join(root, 'test', 'toolchains', name), join(folder, name));
  }
  cpSync(join(root, 'test', 'toolchains', 'programs'), folder, { recursive: true });
  must('npm', ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', join(folder, archive)]);
  return join(folder, archive);
}

/** A folder with its own package.json that depends on the archive, and the programs. */
export function project(name: string, archive: string): string {
  const path = join(folder, name);
  rmSync(path, { recursive: true, force: true });
  cpSync(join(root, 'test', 'toolchains', 'programs'), path, { recursive: true });
  const dependencies = { ocifetch: `file:${archive}` };
  writeFileSync(join(path, 'package.json'), JSON.stringify({ name, private: true, type: 'module', dependencies }));
  return path;
}
