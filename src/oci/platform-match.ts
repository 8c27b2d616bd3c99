import { normalizePlatform, type Platform } from './platform.ts';
import { compareVersions, runsWindowsVersion } from './windows-version.ts';

/** `count` variants downwards from `v<highest>` to `v<lowest>`. */
const downTo = (highest: number, lowest: number): string[] =>
  Array.from({ length: Math.max(0, highest - lowest + 1) }, (_, index) => `v${highest - index}`);

/** `v8.2`, `v8.1`, `v8`: the minor versions of one major version, downwards. */
const minorsDown = (major: number, highest: number): string[] =>
  Array.from({ length: highest + 1 }, (_, index) => (index === highest ? `v${major}` : `v${major}.${highest - index}`));

/** Variants of arm64 that run there, best first; none for a variant that does not exist. */
function arm64Variants(variant: string): readonly string[] {
  const [, version, digits = '0'] = /^v([89])(?:\.(\d))?$/.exec(variant) ?? [];
  const minor = Number(digits);
  if (version === '8') return minorsDown(8, minor);
  // Armv9.x has all that Armv8.(x+5) has.
  return version === '9' && minor <= 7 ? [...minorsDown(9, minor), ...minorsDown(8, Math.min(9, minor + 5))] : [];
}

/** What runs on a processor, best first: architecture and variant. https://github.com/containerd/platforms */
function processorsFor({ architecture, variant = '' }: Platform): readonly string[] {
  const version = /^v(\d{1,2})$/.exec(variant)?.[1];
  const spelled = `${architecture}/${variant}`;
  if (architecture === 'amd64') return [...downTo(Number(version ?? 1), 2).map((v) => `amd64/${v}`), 'amd64/', '386/'];
  if (architecture === 'arm' && version !== undefined) {
    return [spelled, ...downTo(Number(version) - 1, 5).map((v) => `arm/${v}`)];
  }
  if (architecture !== 'arm64') return [spelled];
  const variants = arm64Variants(variant === '' ? 'v8' : variant).map((v) => `arm64/${v === 'v8' ? '' : v}`);
  return variants.length > 0 ? [...variants, ...downTo(8, 5).map((v) => `arm/${v}`)] : [];
}

/** Features that count: every image of Windows with its user interface names win32k, whether or not it is used. */
const featuresOf = ({ os, 'os.features': features = [] }: Platform): readonly string[] =>
  os === 'windows' ? features.filter((feature) => feature !== 'win32k') : features;

function runsVersion(wanted: Platform, offered: Platform): boolean {
  const [a = '', b = ''] = [wanted['os.version'], offered['os.version']];
  return wanted.os === 'windows' ? runsWindowsVersion(a, b) : a === '' || b === '' || a === b;
}

/** How well something runs where it is wanted. */
export interface Fit {
  /** Place in the list of processors that it could be for, from 0 on. */
  readonly rank: number;
  /** Number of the os features that it uses. */
  readonly features: number;
  /** Its os version, where one is wanted. */
  readonly version: string;
}

/** How well what is offered runs on `wanted`, both in any spelling; undefined where it does not. */
export function fitOf(wanted: Platform, offered: Platform): Fit | undefined {
  const [a, b] = [normalizePlatform(wanted), normalizePlatform(offered)];
  const rank = processorsFor(a).indexOf(`${b.architecture}/${b.variant ?? ''}`);
  const [present, used] = [featuresOf(a), featuresOf(b)];
  if (rank === -1 || a.os !== b.os || !runsVersion(a, b) || !used.every((one) => present.includes(one))) {
    return undefined;
  }
  return { rank, features: used.length, version: a['os.version'] ? (b['os.version'] ?? '') : '' };
}

/** Below 0 where the first fits better: its processor, then more features that are used, then the newer version. */
export const compareFits = (first: Fit, second: Fit): number =>
  first.rank - second.rank || second.features - first.features || compareVersions(first.version, second.version);

/**
 * Whether what is offered runs where `wanted` says, both in any spelling, by containerd's rules: the same os; the
 * processor or one that it stands in for (`arm/v7` runs `arm/v6`, `amd64/v3` runs `amd64`, `amd64` runs `386`, `arm64`
 * runs `arm/v8`); an os version that runs there; no os feature that is not there.
 */
export const matchesPlatform = (wanted: Platform, offered: Platform): boolean => fitOf(wanted, offered) !== undefined;
