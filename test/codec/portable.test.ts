import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { portableCodecs } from '../../src/codec/portable.ts';
import { codecContract } from '../contract/codec.ts';

codecContract('portable', portableCodecs);

test('only native.ts of the codecs imports a module of Node', () => {
  const folder = new URL('../../src/codec/', import.meta.url);
  const importing = readdirSync(folder).filter((file) =>
    /from 'node:/.test(readFileSync(new URL(file, folder), 'utf8')),
  );
  expect(importing).toEqual(['native.ts']);
});
