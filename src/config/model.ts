import type { Capability } from '../endpoint.ts';
import type { CredentialProvider, Login } from '../login.ts';
import type { RewriteRule } from './rewrite.ts';

/** The one model that every configuration format is read into. */
export interface Config {
  /** By host[:port] as references name it (`docker.io`), or `*` for all others. */
  readonly registries?: Readonly<Record<string, RegistryConfig>> | undefined;
  /** By host[:port][/path] of the endpoint, the longest that fits; or a function asked for each host. */
  readonly credentials?: Readonly<Record<string, Login>> | CredentialProvider | undefined;
  readonly proxy?: ProxyConfig | undefined;
}

/** How one registry is asked. */
export interface RegistryConfig {
  /** Asked in this order. */
  readonly mirrors?: readonly HostConfig[] | undefined;
  /** Asked last; the registry itself where it is left out. */
  readonly origin?: HostConfig | 'never' | undefined;
  /** Never asked, nor its mirrors. */
  readonly blocked?: boolean | undefined;
}

/** A host that is asked for a registry's content. */
export interface HostConfig {
  /** `https://mirror.example/prefix`: the API root is this and `/v2`. */
  readonly url: string;
  /** The API root is `url` as it is. */
  readonly overridePath?: boolean | undefined;
  readonly capabilities?: readonly Capability[] | undefined;
  /** The first that matches the repository name replaces all its matches. */
  readonly rewrites?: readonly RewriteRule[] | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly tls?: TlsConfig | undefined;
  /** Milliseconds. */
  readonly connectTimeout?: number | undefined;
}

/** PEM text or file paths. */
export interface TlsConfig {
  readonly ca?: readonly string[] | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly insecureSkipVerify?: boolean | undefined;
}

/** URLs of proxies, by the scheme that is asked for; these may have a login in them. */
export interface ProxyConfig {
  readonly http?: string | undefined;
  readonly https?: string | undefined;
  /** For both schemes, where they have none of their own. */
  readonly all?: string | undefined;
  /** Hosts that are asked without a proxy. */
  readonly no?: readonly string[] | undefined;
}
