import { z } from 'zod';
import { cannot, type RegistryError } from '../errors.ts';
import { builtin } from '../runtime.ts';
import { legible, quote } from '../text/quote.ts';
import { statedText, statedTexts } from './stated.ts';

/** What a content runs on. https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
  readonly 'os.version'?: string | undefined;
  readonly 'os.features'?: readonly string[] | undefined;
}

const looseSchema = z.looseObject({
  os: statedText,
  architecture: statedText,
  variant: statedText,
  'os.version': statedText,
  'os.features': statedTexts,
});

/**
 * What a document says of a platform, in a descriptor or an image configuration: an os or an architecture that it leaves
 * out is empty; undefined if it has neither.
 */
export function platformIn(value: unknown): Platform | undefined {
  const { data } = looseSchema.safeParse(value);
  if (!data?.os && !data?.architecture) return undefined;
  return { ...data, os: data.os ?? '', architecture: data.architecture ?? '' };
}

const osGrammar = /^([\w-]+)(?:\(([\w.-]*)((?:\+[\w.-]+)*)\))?$/;

/** Those that Go knows, as containerd reads a single word; `macos` is spelled `darwin`. https://go.dev/doc/install/source#environment */
const systems: ReadonlySet<string> = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux netbsd openbsd plan9 solaris windows zos'.split(' '),
);

const processors: ReadonlySet<string> = new Set(
  '386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x sparc64 wasm'.split(' '),
);

/**
 * Reads `os/architecture[/variant]`; what is left out is that of this machine: `linux`, `arm64`. The os may have a version
 * and features, `windows(10.0.17763+win32k)/amd64`. The answer is normalised. `INVALID_REFERENCE` for another form.
 */
export function parsePlatform(text: string): Platform {
  const [first = '', architecture, variant, ...more] = typeof text === 'string' ? text.split('/') : [];
  const [, os, version, features] = osGrammar.exec(first) ?? [];
  const isNamed = [architecture, variant].every((part) => part === undefined || /^[\w.-]+$/.test(part));
  if (os === undefined || !isNamed || more.length > 0) throw noPlatform(text);
  const options = {
    ...(version && { 'os.version': version }),
    ...(features && { 'os.features': features.slice(1).split('+') }),
  };
  if (architecture !== undefined) {
    return normalizePlatform({ ...options, os, architecture, ...(variant !== undefined && { variant }) });
  }
  const machine = machinePlatform();
  const asSystem = normalizePlatform({ ...options, os, architecture: machine.architecture, variant: machine.variant });
  if (systems.has(asSystem.os)) return asSystem;
  const asProcessor = normalizePlatform({ os: machine.os, architecture: os });
  if (first === os && processors.has(asProcessor.architecture)) return asProcessor;
  throw noPlatform(text);
}

const noPlatform = (text: unknown): RegistryError =>
  cannot(
    'INVALID_REFERENCE',
    `parse platform ${quote(text)}`,
    'expected os/architecture[/variant], as in linux/amd64, linux/arm/v7, linux',
    { reason: 'invalid-platform', value: typeof text === 'string' ? legible(text) : undefined },
  );

/** What a document leaves out. */
const unknown = 'unknown';

/** Writes what `parsePlatform` reads, whole. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant, 'os.version': version = '', 'os.features': features = [] } = platform;
  const options = [version, ...features].join('+');
  const system = `${os || unknown}${options ? `(${options})` : ''}`;
  return `${system}/${architecture || unknown}${variant ? `/${variant}` : ''}`;
}

/** Architectures by other names: the one name, and the variant it stands for. */
const architectures: ReadonlyMap<string, readonly [architecture: string, variant?: string]> = new Map([
  ['i386', ['386', '']],
  ['x86_64', ['amd64']],
  ['x86-64', ['amd64']],
  ['aarch64', ['arm64']],
  ['armhf', ['arm', 'v7']],
  ['armel', ['arm', 'v6']],
]);

/** Variants by other names, and those that a name without a variant already means (''). */
const variants: ReadonlyMap<string, string> = new Map([
  ['amd64/v1', ''],
  ['arm64/8', ''],
  ['arm64/v8', ''],
  ['arm64/v8.0', ''],
  ['arm64/9', 'v9'],
  ['arm64/9.0', 'v9'],
  ['arm64/v9.0', 'v9'],
  ['arm/', 'v7'],
  ['arm/5', 'v5'],
  ['arm/6', 'v6'],
  ['arm/7', 'v7'],
  ['arm/8', 'v8'],
]);

/**
 * The one spelling of a platform, as containerd has it: lower case, `x86_64` is `amd64`, `aarch64/v8` is `arm64`,
 * `arm` is `arm/v7`.
 */
export function normalizePlatform(platform: Platform): Platform {
  const { os, architecture, variant, ...rest } = platform;
  const lower = os.toLowerCase();
  const given = architecture.toLowerCase();
  const [name, implied] = architectures.get(given) ?? [given];
  const spelled = implied ?? variant?.toLowerCase() ?? '';
  const one = variants.get(`${name}/${spelled}`) ?? spelled;
  return { ...rest, os: lower === 'macos' ? 'darwin' : lower, architecture: name, ...(one !== '' && { variant: one }) };
}

/** What this process runs on, in the words of the specification. */
interface Machine {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
}

/** The platform of this machine; `linux/amd64` if the runtime has no such information. */
export function machinePlatform(
  { platform = 'linux', arch = 'x64' }: { readonly platform?: string; readonly arch?: string } = globalThis.process ??
    {},
  system: { machine?(): string; release?(): string } | undefined = builtin('node:os'),
): Machine {
  const os = nodeSystems.get(platform) ?? platform;
  const architecture = nodeArchitectures.get(arch) ?? arch;
  const variant = architecture === 'arm' ? (variantOf(system?.machine?.() ?? '') ?? 'v7') : undefined;
  const version = os === 'windows' ? buildOf(system?.release?.()) : undefined;
  return {
    os,
    architecture,
    ...(variant !== undefined && { variant }),
    ...(version !== undefined && { 'os.version': version }),
  };
}

/** Node's words that are not the specification's, which are those of Go; of ppc64 the little-endian one is in use. */
const nodeSystems: ReadonlyMap<string, string> = new Map([
  ['win32', 'windows'],
  ['sunos', 'solaris'],
]);

const nodeArchitectures: ReadonlyMap<string, string> = new Map([
  ['x64', 'amd64'],
  ['ia32', '386'],
  ['mipsel', 'mipsle'],
  ['ppc64', 'ppc64le'],
  ['s390', 's390x'],
]);

/** `armv7l`, and `aarch64` under a 32-bit process. */
const variantOf = (machine: string): string | undefined =>
  machine === 'aarch64' || machine === 'arm64' ? 'v8' : /^armv[5-8]/.exec(machine)?.[0].slice(3);

/** `10.0.20348` of a Windows release: images are distinguished by their build. */
const buildOf = (release = ''): string | undefined => /^\d+\.\d+\.\d+/.exec(release)?.[0];

/**
 * Whether what is offered runs where `wanted` says, both in any spelling, by containerd's rules: the same os; the
 * processor or one that it stands in for (`arm/v7` runs `arm/v6`, `amd64/v3` runs `amd64`, `amd64` runs `386`, `arm64`
 * runs `arm/v8`); an os version that runs there; no os feature that is not there.
 */
export const matchesPlatform = (wanted: Platform, offered: Platform): boolean => fitOf(wanted, offered) !== undefined;

/** How well an offered platform runs on a wanted one. */
export interface Fit {
  /** Place in the list of processors that it could be for, from 0 on. */
  readonly rank: number;
  /** Number of the os features that it uses. */
  readonly features: number;
  /** Its os version, if one is wanted. */
  readonly version: string;
}

/**
 * How well what is offered runs on `wanted`, both in any spelling; undefined if it does not. An os or an architecture that a
 * document leaves out may be any, and fits worse than one that is known.
 */
export function fitOf(wanted: Platform, offered: Platform): Fit | undefined {
  const [a, b] = [normalizePlatform(wanted), normalizePlatform(offered)];
  const rank = rankOf(a, b);
  const [present, used] = [featuresOf(a), featuresOf(b)];
  if (rank === -1 || !runsVersion(a, b) || !used.every((one) => present.includes(one))) return undefined;
  return { rank, features: used.length, version: a['os.version'] ? (b['os.version'] ?? '') : '' };
}

/** How well os and processor fit, 0 best; -1 if they do not. */
function rankOf(wanted: Platform, { os, architecture, variant = '' }: Platform): number {
  const processors = processorsFor(wanted);
  const rank = architecture === '' ? processors.length : processors.indexOf(`${architecture}/${variant}`);
  if (os === '' && rank !== -1) return processors.length + 1 + rank;
  return os === wanted.os ? rank : -1;
}

/** Below 0 if the first fits better: its processor, then more features that are used, then the newer version. */
export const compareFits = (first: Fit, second: Fit): number =>
  first.rank - second.rank || second.features - first.features || compareVersions(first.version, second.version);

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

/** `count` variants downwards from `v<highest>` to `v<lowest>`. */
const downTo = (highest: number, lowest: number): string[] =>
  Array.from({ length: Math.max(0, highest - lowest + 1) }, (_, index) => `v${highest - index}`);

/** Variants of arm64 that run there, best first; none for a variant that does not exist. */
function arm64Variants(variant: string): readonly string[] {
  const [, version, digits = '0'] = /^v([89])(?:\.(\d))?$/.exec(variant) ?? [];
  const minor = Number(digits);
  if (version === '8') return minorsDown(8, minor);
  // Armv9.x has all that Armv8.(x+5) has.
  return version === '9' && minor <= 7 ? [...minorsDown(9, minor), ...minorsDown(8, Math.min(9, minor + 5))] : [];
}

/** `v8.2`, `v8.1`, `v8`: the minor versions of one major version, downwards. */
const minorsDown = (major: number, highest: number): string[] =>
  Array.from({ length: highest + 1 }, (_, index) => (index === highest ? `v${major}` : `v${major}.${highest - index}`));

/** Features that count: every image of Windows with its user interface names win32k, whether or not it is used. */
const featuresOf = ({ os, 'os.features': features = [] }: Platform): readonly string[] =>
  os === 'windows' ? features.filter((feature) => feature !== 'win32k') : features;

function runsVersion(wanted: Platform, offered: Platform): boolean {
  const [a = '', b = ''] = [wanted['os.version'], offered['os.version']];
  return wanted.os === 'windows' ? runsWindowsVersion(a, b) : a === '' || b === '' || a === b;
}

interface WindowsVersion {
  /** `10.0` */
  readonly release: string;
  readonly build: number;
}

/**
 * Whether a Windows of the version `wanted` runs an image of the version `offered`, as containerd decides: before build
 * 20348 only the same build; from there on also older ones, down to the long-term release before. Where either has no
 * version, nothing speaks against it.
 */
function runsWindowsVersion(wanted: string, offered: string): boolean {
  const host = parseWindowsVersion(wanted);
  if (!host || offered === '') return true;
  const image = parseWindowsVersion(offered);
  if (!image || image.release !== host.release) return false;
  const [oldest = 0] = longTerm;
  if (host.build < oldest) return image.build === host.build;
  const floor = longTerm.findLast((build) => build < host.build) ?? oldest;
  return floor <= image.build && image.build <= host.build;
}

/** Builds of the Windows Server releases from whose kernel on older images run. https://learn.microsoft.com/en-us/virtualization/windowscontainers/deploy-containers/version-compatibility */
const longTerm: readonly number[] = [20_348, 26_100];

function parseWindowsVersion(text: string): WindowsVersion | undefined {
  const [, release, build] = /^(\d+\.\d+)\.(\d+)/.exec(text) ?? [];
  return release === undefined ? undefined : { release, build: Number(build) };
}

/** Below 0 if the first version is the higher one, part by part as numbers. */
function compareVersions(first: string, second: string): number {
  const [a, b] = [first.split('.').map(Number), second.split('.').map(Number)];
  for (let part = 0; part < Math.max(a.length, b.length); part++) {
    const difference = (b[part] ?? 0) - (a[part] ?? 0);
    if (difference) return difference;
  }
  return 0;
}
