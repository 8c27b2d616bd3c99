import { rootOf } from '../config/host-parts.ts';
import type { Config, HostConfig, OriginConfig, RegistryConfig } from '../config/model.ts';
import type { ClientOptions } from './client-options.ts';

/** What of a configuration can be used with a client's options, and what of it cannot, in words. */
export interface UsableConfig {
  readonly config: Config;
  readonly warnings: readonly string[];
}

/** A transport of the user's own goes through no proxy of ours; a dispatcher has TLS settings of its own, too. */
export function usableConfig(config: Config, { transport, network }: ClientOptions): UsableConfig {
  const given = transport ? 'a transport' : network?.dispatcher ? 'a dispatcher' : undefined;
  if (given === undefined) return { config, warnings: [] };
  const { http, https, all } = config.proxy ?? {};
  const hasProxy = (http ?? https ?? all) !== undefined;
  const bare = { ...config, proxy: undefined };
  const { registries, settings } = transport ? { registries: config.registries, settings: [] } : connectless(config);
  const [first, ...others] = new Set(settings);
  const hosts = `${first}${others.length > 0 ? `, and ${others.length} more` : ''}`;
  return {
    config: { ...bare, registries },
    warnings: [
      ...(hasProxy ? [`the proxies of the configuration are not used: the client was given ${given}`] : []),
      ...(first === undefined
        ? []
        : [`tls and connectTimeout of the configuration are not used (${hosts}): the client was given ${given}`]),
    ],
  };
}

/** Registries without what is said of connections to them, and where it was said. */
function connectless({ registries = {} }: Config): Pick<Config, 'registries'> & { readonly settings: string[] } {
  const settings: string[] = [];
  const bare = <Host extends OriginConfig>(host: Host, key: string): Host => {
    if (!host.tls && host.connectTimeout === undefined) return host;
    settings.push(host.declaredAt ?? nameOf(host, key));
    return { ...host, tls: undefined, connectTimeout: undefined };
  };
  const entries = Object.entries(registries).map(([key, registry]): [string, RegistryConfig] => {
    const { origin, mirrors } = registry;
    return [
      key,
      {
        ...registry,
        ...(mirrors && { mirrors: mirrors.map((host) => bare<HostConfig>(host, key)) }),
        ...(typeof origin === 'object' && { origin: bare(origin, key) }),
      },
    ];
  });
  return { registries: Object.assign(Object.create(null), Object.fromEntries(entries)), settings };
}

const nameOf = ({ url, overridePath }: OriginConfig, key: string): string =>
  url === undefined ? key : rootOf({ url, overridePath });
