import { cannot } from '../errors.ts';
import { pathText } from '../oci/issue.ts';
import type { Config, OriginConfig } from './model.ts';
import type { ConfigKind } from './read-texts.ts';
import { isWellFormed } from './rewrite.ts';
import { keyPath, type Written, writtenCredentials } from './written.ts';

/** Formats that a configuration can be written in: containerd's, k3s', and the model itself as YAML. */
export type ConfigFormat = 'hosts.toml' | 'registries.yaml' | 'ocifetch';

/** How to write a configuration. */
export interface ConvertOptions {
  /** Also writes logins, header values and the logins of proxies, which are left out otherwise. */
  readonly secrets?: boolean | undefined;
  /** Also writes, as `ocifetch`, where each registry and host was declared. */
  readonly places?: boolean | undefined;
}

/**
 * Writes a configuration in a format, and tells what that format has no words for. Reading what was written gives the
 * same hosts in the same order, but for what is told. `INVALID_CONFIG` for half characters (lone surrogates), which no
 * file can hold. No I/O.
 */
export async function convertConfig(
  config: Config,
  to: ConfigFormat,
  { secrets = false, places = false }: ConvertOptions = {},
): Promise<Written> {
  checkText(config);
  const { credentials, unwritten } = writtenCredentials(config.credentials);
  const stated = { ...config, credentials };
  const { config: allowed, left } = secrets ? { config: stated, left: [] } : withoutSecrets(stated);
  const written = await write(allowed, to, places);
  const unexpressed = [...written.unexpressed, ...(to === 'ocifetch' ? [] : await lostIn(allowed, written, to))];
  return { files: written.files, unexpressed: [...left, ...unexpressed, ...unwritten] };
}

/** What reading it again would not find as it was. */
async function lostIn(config: Config, { files, unexpressed }: Written, kind: ConfigFormat & ConfigKind) {
  const [{ readConfigTexts }, { lostHosts }] = await Promise.all([
    import('./read-texts.ts'),
    import('./write-check.ts'),
  ]);
  const texts = files.map(({ path, text }) => ({ text, file: `/${path}`, kind, registry: registryOf(path) }));
  return lostHosts(config, await readConfigTexts(texts), unexpressed);
}

/** Whose directory of `certs.d` a file is in. */
function registryOf(path: string): string {
  const [directory = ''] = path.split('/');
  return directory === '_default' ? '*' : directory.replace(/_(\d+)_$/, ':$1');
}

async function write(config: Config, to: ConfigFormat, places: boolean): Promise<Written> {
  if (to === 'hosts.toml') return (await import('./write-hosts-toml.ts')).writeHostsToml(config);
  if (to === 'registries.yaml') return (await import('./write-registries-yaml.ts')).writeRegistriesYaml(config);
  return (await import('./write-own.ts')).writeOwnConfig(config, { places });
}

/** Refuses texts that would not be read as they were written. Values may be secret, and only their keys are told. */
function checkText(value: unknown, path: PropertyKey[] = []): void {
  if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      checkText(key, path);
      checkText(inner, [...path, Array.isArray(value) ? Number(key) : key]);
    }
  } else if (typeof value === 'string' && !isWellFormed(value)) {
    const place = pathText(path) || 'config';
    throw cannot('INVALID_CONFIG', `write ${place}`, 'half a character in it (a lone surrogate)');
  }
}

const secret = 'secret, left out';

function withoutSecrets(config: Config): { config: Config; left: string[] } {
  const left: string[] = [];
  const { registries = {}, credentials, proxy, ...rest } = config;
  const bare = <Host extends OriginConfig>(host: Host, path: string): Host => {
    const { headers, tls } = host;
    for (const name of Object.keys(headers ?? {})) left.push(`${keyPath(`${path}.headers`, name)}: ${secret}`);
    const { key, ...others } = tls ?? {};
    const isSecret = key?.includes('-----BEGIN ') === true;
    if (isSecret) left.push(`${path}.tls.key: ${secret}`);
    return { ...host, headers: undefined, ...(isSecret && { tls: others }) };
  };
  const kept = Object.entries(registries).map(([key, registry]) => {
    const path = keyPath('registries', key);
    const { mirrors, origin } = registry;
    return [
      key,
      {
        ...registry,
        ...(mirrors && { mirrors: mirrors.map((host, index) => bare(host, `${path}.mirrors[${index}]`)) }),
        ...(typeof origin === 'object' && { origin: bare(origin, `${path}.origin`) }),
      },
    ] as const;
  });
  if (typeof credentials === 'object')
    left.push(...Object.keys(credentials).map((key) => `${keyPath('credentials', key)}: ${secret}`));
  const proxies = Object.entries(proxy ?? {}).filter(([name, url]) => {
    const hasLogin = typeof url === 'string' && /\/\/[^/]*@/.test(url);
    if (hasLogin) left.push(`proxy.${name}: its URL has a login, left out`);
    return !hasLogin;
  });
  return {
    config: {
      ...rest,
      registries: Object.fromEntries(kept),
      ...(typeof credentials === 'function' && { credentials }),
      ...(proxies.length > 0 && { proxy: Object.fromEntries(proxies) }),
    },
    left,
  };
}
