/** Builds of the Windows Server releases from whose kernel on older images run. https://learn.microsoft.com/en-us/virtualization/windowscontainers/deploy-containers/version-compatibility */
const longTerm: readonly number[] = [20_348, 26_100];

interface WindowsVersion {
  /** `10.0` */
  readonly release: string;
  readonly build: number;
}

function parse(text: string): WindowsVersion | undefined {
  const [, release, build] = /^(\d+\.\d+)\.(\d+)/.exec(text) ?? [];
  return release === undefined ? undefined : { release, build: Number(build) };
}

/**
 * Whether a Windows of the version `wanted` runs an image of the version `offered`, as containerd decides: before build
 * 20348 only the same build; from there on also older ones, down to the long-term release before. Where either has no
 * version, nothing speaks against it.
 */
export function runsWindowsVersion(wanted: string, offered: string): boolean {
  const host = parse(wanted);
  if (!host || offered === '') return true;
  const image = parse(offered);
  if (!image || image.release !== host.release) return false;
  const [oldest = 0] = longTerm;
  if (host.build < oldest) return image.build === host.build;
  const floor = longTerm.findLast((build) => build < host.build) ?? oldest;
  return floor <= image.build && image.build <= host.build;
}

/** Below 0 where the first version is the higher one, part by part as numbers. */
export function compareVersions(first: string, second: string): number {
  const [a, b] = [first.split('.').map(Number), second.split('.').map(Number)];
  for (let part = 0; part < Math.max(a.length, b.length); part++) {
    const difference = (b[part] ?? 0) - (a[part] ?? 0);
    if (difference) return difference;
  }
  return 0;
}
