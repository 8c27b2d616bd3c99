import { createHash } from 'node:crypto';
import type { Cleanup } from './cleanup.ts';
import { addImage, addIndex, type Compression, type Described, writeLayout } from './layout.ts';

/** Bytes that do not compress, the same each time. */
function noise(seed: string, size: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (let index = 0; index * 32 < size; index++) {
    blocks.push(createHash('sha256').update(`${seed} ${index}`).digest());
  }
  return Buffer.concat(blocks).subarray(0, size);
}

export interface Images {
  /** An OCI layout with the names below. */
  readonly layout: string;
  readonly names: Readonly<Record<'gzip' | 'zstd' | 'mixed' | 'platforms' | 'platforms-gzip', Described>>;
}

/** Images for one platform (gzip, zstd, all compressions, and a layer of a few megabytes), and two for three. */
export async function makeImages(cleanup: Cleanup): Promise<Images> {
  const layout = await cleanup.folder();
  const text = { 'etc/motd': 'Good morning.\n'.repeat(500), 'usr/share/empty': '' };
  const gzip = { files: text, compression: 'gzip' } as const;
  const zstd = { files: text, compression: 'zstd' } as const;
  const plain = { files: { 'opt/plain': 'as it is' }, compression: 'none' } as const;
  const large = { files: { 'opt/large': noise('large', 5_000_000) }, compression: 'gzip' } as const;
  const forPlatform = (compression: Compression, architecture: string, variant?: string): Promise<Described> =>
    addImage(layout, {
      layers: [gzip, { files: { 'etc/arch': `${architecture}${variant ?? ''}\n` }, compression }],
      architecture,
      ...(variant !== undefined && { variant }),
    });
  const forPlatforms = async (compression: Compression): Promise<Described> =>
    addIndex(layout, [
      await forPlatform(compression, 'amd64'),
      await forPlatform(compression, 'arm64'),
      await forPlatform(compression, 'arm', 'v7'),
    ]);
  const names = {
    gzip: await addImage(layout, { layers: [gzip, large] }),
    zstd: await addImage(layout, { layers: [zstd] }),
    mixed: await addImage(layout, { layers: [gzip, zstd, plain] }),
    platforms: await forPlatforms('zstd'),
    'platforms-gzip': await forPlatforms('gzip'),
  };
  await writeLayout(layout, names);
  return { layout, names };
}
