import { pathText, valueAt } from '../oci/issue.ts';
import type { DocumentEntry, DocumentNode, Position } from './document.ts';
import { placeText } from './file-problems.ts';
import { below, directoryOf } from './host-parts.ts';
import type { Config, OriginConfig, RegistryConfig, TlsConfig } from './model.ts';
import { pemFault, pemsOf } from './pem.ts';

type Path = readonly PropertyKey[];

/** Where the key at a path stands, with the file's name. */
type Locate = (path: Path) => { readonly line: string; readonly spot: string } | undefined;

/** With the lines that say what is said, and with paths that do not depend on where the program was started. */
export function withPlaces(config: Config, root: DocumentNode, file: string): Config {
  if (!config.registries) return config;
  const locate: Locate = (path) => {
    const at = positionOf(root, path);
    return at && { line: `${file}:${at.line}`, spot: `${placeText(file, at)}: ${pathText(path)}` };
  };
  const line = (path: Path): object => {
    const found = locate(path);
    return found ? { declaredAt: found.line } : {};
  };
  const placed = <Host extends OriginConfig>(host: Host, path: Path): Host => ({
    ...line(path),
    ...host,
    ...(host.tls && { tls: withPaths(host.tls, [...path, 'tls'], { locate, directory: directoryOf(file) }) }),
  });
  const registries = Object.entries(config.registries).map(([key, registry]): [string, RegistryConfig] => {
    const path = ['registries', key];
    const mirrors = registry.mirrors?.map((mirror, index) => placed(mirror, [...path, 'mirrors', index]));
    const { origin } = registry;
    const placedOrigin = typeof origin === 'object' ? placed(origin, [...path, 'origin']) : origin;
    return [key, { ...line(path), ...registry, ...(mirrors && { mirrors }), ...(origin && { origin: placedOrigin }) }];
  });
  return { ...config, registries: Object.fromEntries(registries) };
}

function positionOf(root: DocumentNode, path: Path): Position | undefined {
  return path.reduce<DocumentEntry | undefined>((found, key) => found && inside(found.value, key), {
    at: root.at,
    value: root,
  })?.at;
}

function inside(node: DocumentNode, key: PropertyKey): DocumentEntry | undefined {
  if (node.kind === 'table') return node.entries.get(String(key));
  const item = node.kind === 'list' ? node.items[Number(key)] : undefined;
  return item && { at: item.at, value: item };
}

const resolved = (directory: string, text: string): string =>
  text.includes('-----BEGIN ') ? text : below(directory, text);

function withPaths(
  { ca, cert, key, ...rest }: TlsConfig,
  path: Path,
  { locate, directory }: { readonly locate: Locate; readonly directory: string },
): TlsConfig {
  const given: Path[] = [...pemsOf({ ca, cert, key }).map(([at]) => at), ['insecureSkipVerify']];
  const spots = given.flatMap((at) => {
    const found = locate([...path, ...at]);
    return found ? [[pathText(at), found.spot]] : [];
  });
  return {
    ...rest,
    ...(ca && { ca: ca.map((text) => resolved(directory, text)) }),
    ...(cert !== undefined && { cert: resolved(directory, cert) }),
    ...(key !== undefined && { key: resolved(directory, key) }),
    ...(spots.length > 0 && { declaredAt: { ...Object.fromEntries(spots), ...rest.declaredAt } }),
  };
}

/** What is wrong with the certificates and keys of a file that has other problems, too, each with its key path. */
export function pemProblems(value: unknown, file: string): string[] {
  const registries = valueAt(value, ['registries']);
  if (typeof registries !== 'object' || registries === null) return [];
  const hosts = Object.keys(registries).flatMap((key): Path[] => {
    const mirrors = valueAt(registries, [key, 'mirrors']);
    const count = Array.isArray(mirrors) ? mirrors.length : 0;
    return [...Array.from({ length: count }, (_, index) => [key, 'mirrors', index]), [key, 'origin']];
  });
  return hosts.flatMap((host) =>
    pemsOf(valueAt(registries, [...host, 'tls'])).flatMap(([path, text]) => {
      const fault = pemFault(resolved(directoryOf(file), text));
      return fault === undefined ? [] : [`${pathText(['registries', ...host, 'tls', ...path])}: ${fault}`];
    }),
  );
}
