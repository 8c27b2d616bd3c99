// A process of its own: reads a layer that is made to take all memory, and prints how that ended.

import { createBody } from '../../src/body.ts';
import { createLiars } from '../../src/content/attempts.ts';
import { Content } from '../../src/content/content.ts';
import { messageOf, RegistryError } from '../../src/errors.ts';
import { createImageFiles } from '../../src/files/image-files.ts';
import type { Source } from '../../src/source.ts';
import { part, pax, type TarPart } from './tar.ts';

type Parts = Generator<Buffer | TarPart, void, undefined>;

const repeated = (count: number, make: (number: number) => readonly (Buffer | TarPart)[]): (() => Parts) =>
  function* parts() {
    for (let number = 0; number < count; number++) yield* make(number);
  };

/** A path of so many names that only the entry of that number has. */
const deepPath = (number: number): string => `${number}/`.repeat(2000);
const long = 'x'.repeat(1_000_000);

/** Made while they are read; packed they would be small. */
const bombs: Readonly<Record<string, () => Parts>> = {
  'names of directories': repeated(16_000, (number) => [pax({ path: deepPath(number) }), {}]),
  'long names': repeated(1000, (number) => [pax({ path: `${number}${long}` }), {}]),
  'targets of links': repeated(1000, (number) => [
    pax({ linkpath: `${number}${long}` }),
    { name: `${number}`, flag: '2' },
  ]),
  'targets of hard links': repeated(1000, (number) => [
    pax({ linkpath: `${number}/${long}` }),
    { name: `${number}`, flag: '1' },
  ]),
  whiteouts: repeated(16_000, (number) => [pax({ path: `${deepPath(number)}.wh.x` }), {}]),
  attributes: repeated(1000, (number) => [pax({ [`SCHILY.xattr.user.${number}`]: long }), { name: `${number}` }]),
  'many attributes': repeated(10_000, (number) => [
    pax(Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`SCHILY.xattr.${at}`, '']))),
    { name: `${number}` },
  ]),
  owners: repeated(1000, (number) => [pax({ uname: `${number}${long}` }), { name: `${number}` }]),
};

const source = (parts: Parts): Source => ({
  resolve: () => Promise.reject(new Error('not expected')),
  fetch: async (descriptor, { signal } = {}) => {
    const next = () => {
      const { value } = parts.next();
      return value ? new Uint8Array(Buffer.isBuffer(value) ? value : part(value)) : undefined;
    };
    return { descriptor, from: 'test', body: createBody({ next, cancel: () => {} }, { signal }).body };
  },
});

const digest = `sha256:${'0'.repeat(64)}` as const;
const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: 2 ** 40 };

async function explode(kind: string) {
  const bomb = bombs[kind];
  if (!bomb) return { code: 'there is no such bomb' };
  const options = { source: source(bomb()), descriptor, emit: () => {}, liars: createLiars(), signals: [] };
  const files = createImageFiles({ descriptor, layers: [new Content(options)] });
  try {
    for await (const _ of files.list());
    return { code: 'none' };
  } catch (error) {
    if (!(error instanceof RegistryError)) return { code: messageOf(error) };
    return { code: error.code, reason: error.reason, limit: error.limit, value: error.value };
  }
}

export const bombKinds: readonly string[] = Object.keys(bombs);

if (process.argv.includes('--explode')) {
  for (const kind of bombKinds) console.log(JSON.stringify({ kind, ...(await explode(kind)) }));
}
