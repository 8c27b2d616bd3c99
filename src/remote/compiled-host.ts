import { rootOf } from '../config/host-parts.ts';
import type { OriginConfig, RegistryConfig, TlsConfig } from '../config/model.ts';
import { pemName, readPem } from '../config/pem.ts';
import { compileRewrites, type Rewriter } from '../config/rewrite.ts';
import type { TlsOptions } from '../endpoint.ts';
import { tlsFaults } from '../http/tls-fault.ts';
import { quote } from '../oci/quote.ts';
import { apiOrigin } from '../oci/reference.ts';

/** A configured host, its rules compiled and its files read. */
export interface Host {
  /** Its API root; undefined for the registry itself, where the configuration is for many. */
  readonly root: string | undefined;
  readonly config: OriginConfig;
  readonly rewriter: Rewriter;
  readonly tls: TlsOptions | undefined;
}

/** The API root of the registry itself. */
export const ownRoot = (registry: string): string => rootOf({ url: apiOrigin(registry) });

/** The registry itself, of which nothing is configured. */
export const defaultOrigin = (registry: string): Host => ({
  root: ownRoot(registry),
  config: {},
  rewriter: compileRewrites([], registry),
  tls: undefined,
});

/** The hosts of a registry; what its TLS settings cannot be used for is added to `problems`. */
export function compileRegistry(key: string, { mirrors = [], origin }: RegistryConfig, problems: string[]): Host[] {
  const where = `registries[${JSON.stringify(key)}]`;
  const [registry = ''] = key.split('/');
  const root = key.startsWith('*') ? undefined : ownRoot(registry);
  const compile = (config: OriginConfig, path: string): Host => {
    const { url, overridePath } = config;
    const asked = url === undefined ? root : rootOf({ url, overridePath });
    return {
      root: asked,
      config,
      rewriter: compileRewrites(config.rewrites ?? [], asked === undefined ? path : `${path} (${asked})`),
      tls: config.tls && readTls(config.tls, { path: `${path}.tls`, declaredAt: config.declaredAt }, problems),
    };
  };
  const hosts = mirrors.map((mirror, index) => compile(mirror, `${where}.mirrors[${index}]`));
  return origin === undefined || origin === 'never' ? hosts : [...hosts, compile(origin, `${where}.origin`)];
}

interface TlsPlace {
  readonly path: string;
  readonly declaredAt: string | undefined;
}

/** TLS settings as texts; a line for each file that cannot be used, with its place, key path and what was found. */
function readTls(config: TlsConfig, { path, declaredAt }: TlsPlace, problems: string[]): TlsOptions {
  const { ca, cert, key, insecureSkipVerify, declaredAt: spots = {} } = config;
  const place = declaredAt === undefined ? path : `${declaredAt}: ${path}`;
  const tell = (setting: string, written: string, found: string): void =>
    void problems.push(`${spots[setting] ?? `${place}.${setting}`}: ${pemName(written)}: ${found}`);
  const read = (setting: string, written: string): string | undefined => {
    const pem = readPem(written);
    if ('text' in pem) return pem.text;
    tell(setting, written, pem.found);
    return undefined;
  };
  const authorities = ca?.flatMap((written, index) => {
    const text = read(`ca[${index}]`, written);
    const [fault] = text === undefined ? [] : tlsFaults({ ca: [text] });
    if (fault) tell(`ca[${index}]`, written, fault.found);
    return text ?? [];
  });
  const own = {
    ...(cert !== undefined && { cert: read('cert', cert) }),
    ...(key !== undefined && { key: read('key', key) }),
  };
  const known = Object.fromEntries(Object.entries(own).filter(([, text]) => text !== undefined));
  const isWhole = Object.keys(known).length === Object.keys(own).length;
  for (const { setting, found } of tlsFaults(known, { isWhole }))
    tell(setting, (setting === 'key' ? key : cert) ?? '', found);
  return {
    ...(authorities && { ca: authorities }),
    ...known,
    ...(insecureSkipVerify !== undefined && { insecureSkipVerify }),
  };
}

/** What the configuration says of hosts that cannot have been meant, or must be known; of each host once. */
export function hostWarnings(registries: ReadonlyMap<string, readonly Host[]>): string[] {
  const rewrites: string[] = [];
  const lenient = new Map<string, (string | undefined)[]>();
  for (const [key, hosts] of registries) {
    for (const { root, config, rewriter, tls } of hosts) {
      rewrites.push(...rewriter.warnings);
      const subject = root ?? `every registry that ${quote(key)} is for`;
      if (tls?.insecureSkipVerify && !subject.startsWith('http:')) {
        const place = config.tls?.declaredAt?.insecureSkipVerify ?? config.declaredAt;
        lenient.set(subject, [...(lenient.get(subject) ?? []), place]);
      }
    }
  }
  const told = [...lenient].map(([subject, places]) => {
    const [first, ...others] = new Set(places.filter((place) => place !== undefined));
    const more = others.length === 0 ? '' : `, and ${others.length} more`;
    return `the certificate of ${subject} is not checked: insecureSkipVerify${first === undefined ? '' : ` (${first}${more})`}`;
  });
  return [...rewrites, ...told];
}
