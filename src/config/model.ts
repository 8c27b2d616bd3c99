import type { Capability } from '../endpoint.ts';
import type { CredentialProvider, Login } from '../login.ts';
import type { ProxyConfig } from '../proxy.ts';
import type { RewriteRule } from './rewrite.ts';
import type { ClientLimits, ClientRetries, ClientTimeouts } from './settings.ts';

/** The capabilities of a host that does not list any. */
export const allCapabilities: readonly Capability[] = ['pull', 'resolve', 'referrers'];

/** The one model that every configuration format is read into. */
export interface Config {
  /**
   * By host[:port] as references name it (`docker.io`); host[:port]/path for the repositories below a path, of which the
   * longest wins; `*.domain` for all hosts below a domain; or `*` for all others.
   */
  readonly registries?: Readonly<Record<string, RegistryConfig>> | undefined;
  /** By host[:port][/path] of the endpoint, the longest that fits; or a function called for each host. */
  readonly credentials?: Readonly<Record<string, Login>> | CredentialProvider | undefined;
  readonly proxy?: ProxyConfig | undefined;
  readonly shortNames?: ShortNames | undefined;
  /**
   * What may have a private address although a public registry refers to it, by a redirect, a token realm or the `urls` of a
   * descriptor: `host`, `host:port`, `.domain` for all below it, an address, a CIDR block.
   */
  readonly allowPrivate?: readonly string[] | undefined;
  /** Of the client, unless its options say otherwise. */
  readonly timeouts?: ClientTimeouts | undefined;
  readonly retries?: ClientRetries | undefined;
  readonly limits?: ClientLimits | undefined;
  /** What files say that has no meaning here; reported as `warning` events when a client is made. */
  readonly warnings?: readonly string[] | undefined;
}

/** What a name without a registry stands for, if not what it means to Docker. */
export interface ShortNames {
  /** `fedora` → `registry.fedoraproject.org/fedora`. */
  readonly aliases?: Readonly<Record<string, string>> | undefined;
  /** Registries of names that have none, in place of docker.io. */
  readonly search?: readonly string[] | undefined;
}

/** The hosts of one registry. */
export interface RegistryConfig {
  /** Contacted in this order. */
  readonly mirrors?: readonly HostConfig[] | undefined;
  /** Contacted last; the registry itself if left out. */
  readonly origin?: OriginConfig | 'never' | undefined;
  /** Never contacted, nor are its mirrors; nor is it as a mirror of others. */
  readonly blocked?: boolean | undefined;
  /** `file:line` of the declaration, for people. */
  readonly declaredAt?: string | undefined;
}

/** A host that has a registry's content. */
export interface HostConfig {
  /** `https://mirror.example/prefix`: the API root is this and `/v2`. */
  readonly url: string;
  /** The API root is `url` as it is. */
  readonly overridePath?: boolean | undefined;
  readonly capabilities?: readonly Capability[] | undefined;
  /** The first that matches the repository name replaces all its matches. */
  readonly rewrites?: readonly RewriteRule[] | undefined;
  /**
   * Requests do not name the registry that this host stands for. By default they do, in the parameter `ns`, unless the host is
   * that registry itself; without it, a host that serves several registries cannot tell them apart.
   */
  readonly omitNamespace?: boolean | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly tls?: TlsConfig | undefined;
  /** As `allowPrivate` of the configuration, only for what this host redirects to and for its token realm. */
  readonly allowPrivate?: readonly string[] | undefined;
  /** Milliseconds. */
  readonly connectTimeout?: number | undefined;
  /** Most requests begun in a second. */
  readonly requestsPerSecond?: number | undefined;
  /** Most exchanges at a time, if fewer than the client's own limit. */
  readonly concurrency?: number | undefined;
  /** `file:line` of the declaration, for people. */
  readonly declaredAt?: string | undefined;
}

/** The last host. Without a `url`, and then without `overridePath`, it is the registry itself at its own address. */
export interface OriginConfig extends Omit<HostConfig, 'url'> {
  readonly url?: string | undefined;
}

/** PEM text or file paths. */
export interface TlsConfig {
  readonly ca?: readonly string[] | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly insecureSkipVerify?: boolean | undefined;
  /** `file:line:column: key path in that file` of each setting: `ca[0]`, `cert`, `key`, `insecureSkipVerify`; for people. */
  readonly declaredAt?: Readonly<Record<string, string>> | undefined;
}
