import { cannot, type RegistryError } from '../errors.ts';
import type { Descriptor } from './descriptor.ts';
import { formatPlatform, normalizePlatform, type Platform, parsePlatform, platformSchema } from './platform.ts';
import { compareFits, fitOf, matchesPlatform } from './platform-match.ts';
import { quote } from './quote.ts';

/**
 * Whether an entry of an index tells of the making of another one, and is no image itself.
 * https://docs.docker.com/build/metadata/attestations/attestation-storage/
 */
export const isAttestation = ({ annotations, platform }: Descriptor): boolean =>
  annotations?.['vnd.docker.reference.type'] === 'attestation-manifest' ||
  (platform?.os === 'unknown' && platform.architecture === 'unknown');

/**
 * The entry of an index that runs best on a platform, the first of those that run equally well; undefined where none
 * does. Attestations and entries without a platform are never chosen.
 */
export function selectPlatform(manifests: readonly Descriptor[], wanted: Platform): Descriptor | undefined {
  const fits = manifests.flatMap((descriptor) => {
    if (!descriptor.platform || isAttestation(descriptor)) return [];
    const fit = fitOf(wanted, descriptor.platform);
    return fit ? [{ descriptor, fit }] : [];
  });
  return fits.sort((a, b) => compareFits(a.fit, b.fit))[0]?.descriptor;
}

/** A platform as a caller gives it, text or record, normalised; `INVALID_REFERENCE` for what is none. */
export function platformOf(given: unknown): Platform {
  if (typeof given === 'string') return parsePlatform(given);
  const parsed = platformSchema.safeParse(given);
  if (parsed.success) return normalizePlatform(parsed.data);
  throw cannot('INVALID_REFERENCE', `use platform ${quote(given)}`, 'no os and architecture');
}

/** Most platforms that a message lists. */
const mostListed = 20;

/** Why nothing was chosen: `NOT_FOUND`, naming the platforms that there are, and what would do. */
export function noPlatformError(
  name: string,
  wanted: Platform,
  offered: readonly Platform[],
  { isImage = false }: { readonly isImage?: boolean } = {},
): RegistryError {
  const platforms = offered.map(normalizePlatform);
  const texts = [...new Set(platforms.map(formatPlatform))].sort();
  const more = texts.length > mostListed ? ` and ${texts.length - mostListed} more` : '';
  const listed = texts.slice(0, mostListed).join(', ') + more;
  const there = isImage ? `it is one image, for ${listed}` : `there ${texts.length === 1 ? 'is' : 'are'} ${listed}`;
  const linux = { ...wanted, os: 'linux', 'os.version': undefined, 'os.features': undefined };
  const isForLinux = wanted.os !== 'linux' && platforms.some((platform) => matchesPlatform(linux, platform));
  const found = texts.length === 0 ? 'there is none' : there;
  const advice = isForLinux ? `; platform "linux" would do` : texts.length > 0 ? '; choose one with platform' : '';
  return cannot('NOT_FOUND', `choose an image of ${quote(name)} for ${formatPlatform(wanted)}`, found + advice, {
    reason: 'platform',
    value: formatPlatform(wanted),
    platforms: texts,
    ...(isForLinux && { suggestion: 'linux' }),
  });
}
