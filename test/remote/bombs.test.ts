import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { bundleSource } from '../support/bundled.ts';
import { documentBombs } from '../support/document-bombs.ts';

test('every document and list that is made to take all memory is TOO_LARGE in a heap of 256 MiB', async () => {
  const bundled = await bundleSource('test/support/document-bombs');
  try {
    const program = fileURLToPath(bundled.urlOf('test/support/document-bombs'));
    const flags = ['--max-old-space-size=256', program, '--explode'];
    const { stdout } = await promisify(execFile)(process.execPath, flags);
    const lines = stdout.trim().split('\n');
    const end = { code: 'TOO_LARGE', reason: 'limit' };
    expect(lines.map((line) => JSON.parse(line))).toEqual(documentBombs.map((kind) => ({ kind, ...end })));
  } finally {
    await bundled.remove();
  }
}, 120_000);
