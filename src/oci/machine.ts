import { builtin } from '../runtime.ts';

/** What this process runs on, in the words of the specification. */
interface Machine {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
}

/** Node's words that are not the specification's, which are those of Go; of ppc64 the little-endian one is in use. */
const systems: ReadonlyMap<string, string> = new Map([
  ['win32', 'windows'],
  ['sunos', 'solaris'],
]);
const architectures: ReadonlyMap<string, string> = new Map([
  ['x64', 'amd64'],
  ['ia32', '386'],
  ['mipsel', 'mipsle'],
  ['ppc64', 'ppc64le'],
  ['s390', 's390x'],
]);

/** `armv7l`, and `aarch64` under a 32-bit process. */
const variantOf = (machine: string): string | undefined =>
  machine === 'aarch64' || machine === 'arm64' ? 'v8' : /^armv[5-8]/.exec(machine)?.[0].slice(3);

/** `10.0.20348` of a Windows release: images are told apart by their build. */
const buildOf = (release = ''): string | undefined => /^\d+\.\d+\.\d+/.exec(release)?.[0];

/** The platform of this machine; `linux/amd64` where the runtime does not tell. */
export function machinePlatform(
  { platform = 'linux', arch = 'x64' }: { readonly platform?: string; readonly arch?: string } = globalThis.process ??
    {},
  system: { machine?(): string; release?(): string } | undefined = builtin('node:os'),
): Machine {
  const os = systems.get(platform) ?? platform;
  const architecture = architectures.get(arch) ?? arch;
  const variant = architecture === 'arm' ? (variantOf(system?.machine?.() ?? '') ?? 'v7') : undefined;
  const version = os === 'windows' ? buildOf(system?.release?.()) : undefined;
  return {
    os,
    architecture,
    ...(variant !== undefined && { variant }),
    ...(version !== undefined && { 'os.version': version }),
  };
}
