import { expect, test } from 'vitest';
import type { BareEntry } from '../../src/files/entry.ts';
import { LayerEntries } from '../../src/files/layer-entries.ts';

const digest = `sha256:${'a'.repeat(64)}` as const;
const base = { size: 0, mode: 0o644, uid: 0, gid: 0, modified: new Date(1_700_000_000_123) } as const;
const entries: readonly BareEntry[] = [
  { ...base, path: 'file', type: 'file', size: 2 ** 40, userName: 'root', groupName: 'wheel' },
  { ...base, path: 'link', type: 'symlink', linkPath: '' },
  { ...base, path: 'same', type: 'hardlink', linkPath: 'file' },
  { ...base, path: 'device', type: 'block-device', deviceMajor: 8, deviceMinor: 1, modified: new Date(-1) },
  {
    ...base,
    path: 'd',
    type: 'directory',
    mode: 0o1777,
    uid: 4_294_967_294,
    xattrs: { 'user.k': Uint8Array.of(0, 255) },
  },
  { ...base, path: 'user', type: 'fifo', userName: 'a b' },
  { ...base, path: 'group', type: 'fifo', userName: 'a', groupName: 'b' },
];

test('entries come out as they were added, also after the columns have grown', () => {
  const kept = new LayerEntries(digest, () => {});
  for (let round = 0; round < 20; round++) for (const entry of entries) kept.add(entry);
  expect(kept.length).toBe(140);
  for (let index = 0; index < kept.length; index++) {
    const entry = entries[index % entries.length] as BareEntry;
    expect(kept.at(index, entry.path)).toStrictEqual({ ...entry, layer: digest });
    expect([kept.typeAt(index), kept.linkPathAt(index)]).toEqual([entry.type, entry.linkPath ?? '']);
  }
});

test('attributes that many entries share take memory once, texts and attributes of their own each time', () => {
  let taken = 0;
  const kept = new LayerEntries(digest, (bytes) => {
    taken += bytes;
  });
  const takenBy = (entry: BareEntry): number => {
    const before = taken;
    kept.add(entry);
    return taken - before;
  };
  const [plain = entries[0] as BareEntry] = entries;
  expect([takenBy(plain) > 0, takenBy(plain), takenBy({ ...plain, size: 7 })]).toEqual([true, 0, 0]);
  expect(takenBy({ ...plain, uid: 9 })).toBeGreaterThan(100);
  expect(takenBy({ ...plain, type: 'symlink', linkPath: 'x'.repeat(1000) })).toBeGreaterThan(2000);
  expect(takenBy({ ...plain, xattrs: { a: new Uint8Array(1000) } })).toBeGreaterThan(1000);
});

test('a hard link leads to an entry, to a path of its own, or to its target as written', () => {
  const kept = new LayerEntries(digest, () => {});
  for (const entry of entries) kept.add(entry);
  expect(kept.linkedAt(2)).toBe('file');
  kept.setLinked(2, 'usr/file');
  expect(kept.linkedAt(2)).toBe('usr/file');
  kept.setLinked(2, 0);
  expect(kept.linkedAt(2)).toBe(0);
});
