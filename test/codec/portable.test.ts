import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { portableCodecs } from '../../src/codec/portable.ts';
import { codecContract } from '../contract/codec.ts';

codecContract('portable', portableCodecs);

test('of all files of the codecs only native.ts names a module of Node', () => {
  const folder = new URL('../../src/codec/', import.meta.url);
  const naming = readdirSync(folder).filter((file) => /from 'node:/.test(readFileSync(new URL(file, folder), 'utf8')));
  expect(naming).toEqual(['native.ts']);
});
