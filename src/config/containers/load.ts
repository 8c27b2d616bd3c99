import { dirname, join } from 'node:path';
import { load } from '../../load.ts';
import { allFiles } from '../document/document.ts';
import { filesIn, type ReadFiles, textOf } from '../files.ts';
import type { ConfigPlace } from '../usual-places.ts';
import { readCertificates, withCertificates } from './certificates.ts';

/**
 * Reads registries.conf with its drop-ins, and the certificates of `certs.d`, which are for all hosts.
 * Undefined if there are none and need not be.
 */
export async function readRegistriesConfFiles(place: ConfigPlace): Promise<ReadFiles | undefined> {
  const { path, directories = [`${path}.d`], certificates = [join(dirname(path), 'certs.d')] } = place;
  const found = await Promise.all(directories.map(filesIn));
  const dropIns = found.flat().filter((file) => file.endsWith('.conf'));
  const main = await textOf({ ...place, named: place.named && dropIns.length === 0 });
  if (main === undefined && place.needsFile) return undefined;
  const files = [...(main === undefined ? [] : [path]), ...dropIns];
  const { helpersOf, mergeRegistriesConf, readRegistriesConf } = await load(['smol-toml'], () => import('./read.ts'));
  const readings = files.map(async (file) => {
    const text = file === path ? main : await textOf({ path: file, named: true });
    return readRegistriesConf(text ?? '', { file });
  });
  const both = [allFiles(readings).then(mergeRegistriesConf), readCertificates(certificates)] as const;
  await allFiles<unknown>(both);
  const [merged, tls] = await Promise.all(both);
  if (files.length === 0 && tls.hosts.size === 0 && tls.warnings.length === 0) return undefined;
  const read = {
    config: withCertificates(merged.config, tls.hosts),
    warnings: [...merged.warnings, ...tls.warnings],
    helpers: helpersOf(merged),
  };
  return { files: [...files, ...[...tls.hosts.values()].map(({ directory }) => directory)], reads: [read] };
}
