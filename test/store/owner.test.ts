import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { isOwner, processOwners } from '../../src/store/owner.ts';

const owners = processOwners();
const own = owners.next();
const [host = '', , start = ''] = own.split('-');
const ownerOf = (pid: number | undefined, ticks = start): string => `${host}-${pid}-${ticks}-${'0'.repeat(12)}`;

const { readFileSync } = fs;
/** The system does not show processes, as with hidepid or without a file left to open. */
function hideProcesses(code: string): void {
  const refuse = (path: string, ...rest: never[]): unknown => {
    if (/^\/proc\/\w+\/stat$/.test(`${path}`)) throw Object.assign(new Error(code), { code });
    return (readFileSync as (...all: unknown[]) => unknown)(path, ...rest);
  };
  fs.readFileSync = refuse as typeof readFileSync;
  syncBuiltinESMExports();
}
afterEach(() => {
  fs.readFileSync = readFileSync;
  syncBuiltinESMExports();
});

test('names are owners, unique, and of this process', () => {
  const names = Array.from({ length: 50 }, () => owners.next());
  expect(new Set(names).size).toBe(50);
  expect(names.every(isOwner)).toBe(true);
  expect(names.every((name) => owners.isRunning(name))).toBe(true);
});

test('whether an owner on another machine is running is unknown', () => {
  expect(owners.isRunning(own.replace(host, 'f'.repeat(12)))).toBeUndefined();
  expect(owners.isRunning('no owner')).toBeUndefined();
});

test('a process that has ended is not running', () => {
  expect(owners.isRunning(ownerOf(spawnSync(process.execPath, ['--version']).pid, '1'))).toBe(false);
});

test.each(['ENOENT', 'EMFILE', 'EACCES'])(
  'if processes are hidden (%s), no living one counts as gone',
  async (code) => {
    const child = spawn(process.execPath, ['--eval', 'setTimeout(() => {}, 60_000)'], { stdio: 'ignore' });
    await once(child, 'spawn');
    hideProcesses(code);
    try {
      expect(owners.isRunning(own)).toBe(true);
      expect(owners.isRunning(ownerOf(child.pid, '1'))).toBeUndefined();
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(owners.isRunning(ownerOf(child.pid, '1'))).toBe(false);
    } finally {
      child.kill('SIGKILL');
    }
  },
);

/** Runs in a worker: an owner of its own, as the same code there makes it. */
const nameInWorker = `
  const { parentPort } = require('node:worker_threads');
  const fs = require('node:fs');
  const text = fs.readFileSync('/proc/thread-self/stat', 'utf8');
  const ticks = text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  parentPort.postMessage(text.slice(0, text.indexOf(' ')) + '-' + ticks);
  setInterval(() => {}, 1000);`;

test.runIf(process.platform === 'linux')(
  'a worker that was terminated is not running, though its process is; one that was not is',
  async () => {
    const worker = new Worker(nameInWorker, { eval: true });
    const [thread] = await once(worker, 'message');
    const owner = `${host}-${thread}-${'0'.repeat(12)}`;
    expect(isOwner(owner)).toBe(true);
    expect(owners.isRunning(owner)).toBe(true);
    await worker.terminate();
    expect(owners.isRunning(owner)).toBe(false);
  },
);
