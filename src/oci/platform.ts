import { z } from 'zod';
import { cannot, type RegistryError } from '../errors.ts';
import { machinePlatform } from './machine.ts';
import { quote } from './quote.ts';

/** What a content runs on. https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
  readonly 'os.version'?: string | undefined;
  readonly 'os.features'?: readonly string[] | undefined;
}

/** A platform in a document; fields that are not known stay. */
export const platformSchema = z.looseObject(
  {
    os: z.string('not a string'),
    architecture: z.string('not a string'),
    variant: z.string('not a string').optional(),
    'os.version': z.string('not a string').optional(),
    'os.features': z.array(z.string('not a string'), 'not a list').optional(),
  },
  'not an object',
);

const osGrammar = /^([\w-]+)(?:\(([\w.-]*)((?:\+[\w.-]+)*)\))?$/;

/** Those that Go knows, as containerd reads a word alone; `macos` is spelled `darwin`. https://go.dev/doc/install/source#environment */
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
  );

/** Writes what `parsePlatform` reads, whole. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant, 'os.version': version = '', 'os.features': features = [] } = platform;
  const options = [version, ...features].join('+');
  return `${os}${options ? `(${options})` : ''}/${architecture}${variant ? `/${variant}` : ''}`;
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
