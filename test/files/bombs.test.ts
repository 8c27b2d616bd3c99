import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { bundleSource } from '../support/bundled.ts';
import { bombKinds } from '../support/layer-bombs.ts';

test('every layer that is made to take all memory is TOO_LARGE in a heap of 256 MiB', async () => {
  const bundled = await bundleSource('test/support/layer-bombs');
  try {
    const program = fileURLToPath(bundled.urlOf('test/support/layer-bombs'));
    const flags = ['--max-old-space-size=256', program, '--explode'];
    const { stdout } = await promisify(execFile)(process.execPath, flags);
    const found = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const value = `sha256:${'0'.repeat(64)}`;
    const end = { code: 'TOO_LARGE', reason: 'limit', limit: 'limits.imageTreeBytes', value };
    expect(found).toEqual(bombKinds.map((kind) => ({ kind, ...end })));
  } finally {
    await bundled.remove();
  }
}, 120_000);
