import { apiOrigin } from '../oci/reference.ts';
import { rootOf } from './host-parts.ts';
import { everything } from './hosts-toml-tables.ts';
import { matchKey } from './match.ts';
import type { Config, OriginConfig } from './model.ts';
import { firsts, keyPath } from './written.ts';

/** A host as it is asked for a registry. */
interface Asked {
  /** Its key path; of what was read back it says nothing. */
  readonly path: string;
  readonly root: string;
  /** All that a request to it is made of. */
  readonly facts: string;
}

/**
 * What a configuration that was written and read again would be asked otherwise, beside what is told of already: a line
 * for each host, with its key path. Formats cannot tell all hosts apart, whatever was looked at when they were written.
 */
export function lostHosts(config: Config, back: Config, told: readonly string[]): string[] {
  const keys = new Set([...Object.keys(config.registries ?? {}), ...Object.keys(back.registries ?? {})]);
  return [...keys].flatMap((key) => {
    const path = keyPath('registries', key);
    const isTold = (at: string): boolean =>
      told.some((line) => line.startsWith(at) && ':.[('.includes(line[at.length] ?? '')) ||
      told.some((line) => line.startsWith(`${path}: `) || line.includes(` ${JSON.stringify(key)} itself`));
    return lostOf(askedFor(config, key), askedFor(back, key), path, isTold);
  });
}

function lostOf(
  wanted: readonly Asked[],
  found: readonly Asked[],
  path: string,
  isTold: (path: string) => boolean,
): string[] {
  const lost: string[] = [];
  let next = 0;
  for (const one of wanted) {
    const candidate = found[next];
    const isThere = candidate?.root === one.root;
    if (isThere) next += 1;
    if (isThere && candidate.facts === one.facts) continue;
    const why = isThere ? 'other settings count for this host there' : 'this host is not asked in this place there';
    if (!isTold(one.path)) lost.push(`${one.path}: ${why}`);
  }
  const [more] = found.slice(next);
  if (
    more &&
    lost.length === 0 &&
    !isTold(path) &&
    !isTold(`${path}.origin`) &&
    !wanted.some(({ path: at }) => isTold(at))
  )
    lost.push(`${path}: ${more.root} is asked there, too`);
  return lost;
}

/** The hosts of a registry, mirrors first; what a configuration says of `*` for one that it does not name. */
function askedFor({ registries = {} }: Config, key: string): Asked[] {
  const [registry = '', ...path] = key.split('/');
  const isOne = !key.startsWith('*');
  const name = path.length > 0 ? path.join('/') : 'a';
  const found = isOne ? matchKey(new Set(Object.keys(registries)), { registry, name }) : key;
  const { mirrors = [], origin = {}, blocked = false } = registries[found ?? ''] ?? {};
  if (blocked) return [];
  const where = keyPath('registries', found ?? key);
  const itself = isOne ? apiOrigin(registry) : 'the registry itself';
  const hosts = [
    ...mirrors.map((host, index) => ({ host, path: `${where}.mirrors[${index}]` })),
    ...(origin === 'never' ? [] : [{ host: origin, path: `${where}.origin` }]),
  ];
  return hosts.map(({ host, path: at }) => {
    const root = host.url === undefined && !isOne ? itself : rootOf({ ...host, url: host.url ?? itself });
    return { path: at, root, facts: factsOf(host, root) };
  });
}

function factsOf(host: OriginConfig, root: string): string {
  const { capabilities = everything, rewrites = [], headers = {}, tls = {}, connectTimeout } = host;
  const { ca = [], cert, key, insecureSkipVerify = false } = root.startsWith('http:') ? {} : tls;
  return JSON.stringify([
    everything.filter((capability) => capabilities.includes(capability)),
    firsts(rewrites.map(({ pattern, replacement }) => [pattern, replacement])),
    Object.entries(headers),
    [ca, cert, key, insecureSkipVerify],
    connectTimeout === undefined ? undefined : Math.ceil(connectTimeout),
    host.requestsPerSecond,
    host.concurrency,
  ]);
}
