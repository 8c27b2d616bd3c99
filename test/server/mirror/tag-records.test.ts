import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createTagRecords } from '../../../src/server/mirror/tag-records.ts';
import { samples } from '../../contract/source.ts';

test('a tag that is nowhere leaves no file, and one that is gone is forgotten', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-tag-records-'));
  try {
    const { descriptor } = samples.manifest;
    const repository = { registry: 'registry.test', name: 'library/app' };
    const records = createTagRecords(folder)(repository);
    await records.write('nowhere', []);
    expect(await readdir(folder)).toEqual([]);
    await records.write('latest', [{ descriptor, validator: undefined, checked: 1 }]);
    expect(await createTagRecords(folder)(repository).tags()).toEqual(['latest']);
    await records.write('latest', []);
    expect(await createTagRecords(folder)(repository).tags()).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
