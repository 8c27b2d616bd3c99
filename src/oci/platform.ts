import { z } from 'zod';
import { RegistryError } from '../errors.ts';
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

const grammar = /^([\w-]+)(?:\(([\w.-]+)\))?\/([\w-]+)(?:\/([\w.-]+))?$/;

/**
 * Reads `os/architecture[/variant]`, the os also with a version: `windows(10.0.17763)/amd64`. The answer is normalised.
 * `INVALID_REFERENCE` for another form.
 */
export function parsePlatform(text: string): Platform {
  const [, os, version, architecture, variant] = grammar.exec(text) ?? [];
  if (os === undefined || architecture === undefined) {
    throw new RegistryError(
      'INVALID_REFERENCE',
      `Cannot parse platform ${quote(text)}: expected os/architecture or os/architecture/variant`,
    );
  }
  return normalizePlatform({
    os,
    architecture,
    ...(variant !== undefined && { variant }),
    ...(version !== undefined && { 'os.version': version }),
  });
}

/** Writes what `parsePlatform` reads. */
export function formatPlatform({ os, architecture, variant, 'os.version': version }: Platform): string {
  return `${os}${version ? `(${version})` : ''}/${architecture}${variant ? `/${variant}` : ''}`;
}

/** Architectures by other names: the one name, and the variant it stands for. */
const architectures: ReadonlyMap<string, readonly [architecture: string, variant?: string]> = new Map([
  ['i386', ['386']],
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

/**
 * Whether what is offered runs where `wanted` says, both in any spelling: same os, architecture and variant, the same
 * os version where one is wanted, and no os feature that is not there.
 */
export function matchesPlatform(wanted: Platform, offered: Platform): boolean {
  const [a, b] = [normalizePlatform(wanted), normalizePlatform(offered)];
  const version = a['os.version'];
  const features = a['os.features'] ?? [];
  return (
    a.os === b.os &&
    a.architecture === b.architecture &&
    a.variant === b.variant &&
    (version === undefined || version === b['os.version']) &&
    (b['os.features'] ?? []).every((feature) => features.includes(feature))
  );
}
