import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

export const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Kills a process without warning after a time, unless it ends before, and returns its exit code, if it ended by itself. */
export async function killed(child: ChildProcess, milliseconds: number): Promise<number | null> {
  const end = once(child, 'exit');
  await Promise.race([end, wait(milliseconds)]);
  child.kill('SIGKILL');
  const [code] = await end;
  return code;
}

/** Files of a layout whose bytes do not have the digest of their names. Throws if its index.json cannot be read. */
export async function wrongFiles(folder: string): Promise<string[]> {
  const blobs = join(folder, 'blobs', 'sha256');
  const names = await readdir(blobs).catch(() => []);
  const wrong: string[] = [];
  for (const name of names) if (sha256(await readFile(join(blobs, name))) !== `sha256:${name}`) wrong.push(name);
  JSON.parse(await readFile(join(folder, 'index.json'), 'utf8').catch(() => '{}'));
  return wrong;
}

/** Runs a module in a Node of its own until it has printed a line: a server its URL. */
export async function started(code: string): Promise<{ readonly child: ChildProcess; readonly line: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [chunk] = await once(child.stdout, 'data');
  return { child, line: String(chunk).trim() };
}
