import { type ConfigProblem, cannot } from '../../errors.ts';
import { isRepositoryName, normalizeRegistry, type Repository } from '../../oci/reference.ts';
import { hostProblem } from '../../oci/registry.ts';
import { quote } from '../../text/quote.ts';

/** Which registries a mirror gets content from. */
export interface UpstreamOptions {
  /** The registry of repositories for which a request names none. Default `docker.io`. */
  readonly upstream?: string | undefined;
  /**
   * More registries, by a name: repository `upstream/<name>/<rest>` is `<rest>` of that registry. Clients may also name any
   * registry of the mirror, as it is called upstream, in the parameter `ns`.
   */
  readonly upstreams?: Readonly<Record<string, string>> | undefined;
}

const defaultUpstream = 'docker.io';
/** The registry of a request that names none, as `serve` has it. */
const unnamed = 'localhost';

/** What is wrong with the registries of a mirror. */
export function upstreamProblems({ upstream = defaultUpstream, upstreams = {} }: UpstreamOptions): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const [name, registry] of [['', upstream], ...Object.entries(upstreams)]) {
    const key = name === '' ? 'upstream' : `upstreams[${quote(name)}]`;
    const isName = name === '' || (isRepositoryName(name ?? '') && !name?.includes('/'));
    if (!isName) problems.push({ key, found: 'expected a name of one component of a repository' });
    const problem = typeof registry === 'string' ? hostProblem(registry) : 'not a text';
    if (problem !== undefined)
      problems.push({ key, found: `found ${quote(registry)}: ${problem}, expected a registry` });
  }
  return problems;
}

/** The repository upstream that a mirror has under a name: `NOT_FOUND` if it has no such registry. */
export function upstreamOf({ upstream = defaultUpstream, upstreams = {} }: UpstreamOptions) {
  const byHost = new Map([upstream, ...Object.values(upstreams)].map((one) => [normalizeRegistry(one), one]));
  return ({ registry, name }: Repository): Repository => {
    const own = byHost.get(normalizeRegistry(registry));
    if (own !== undefined) return { registry: own, name };
    const [first, key = '', ...rest] = name.split('/');
    if (first !== 'upstream' && registry === unnamed) return { registry: upstream, name };
    const named = registry === unnamed && Object.hasOwn(upstreams, key) ? upstreams[key] : undefined;
    if (named !== undefined && rest.length > 0) return { registry: named, name: rest.join('/') };
    const reason = { reason: 'no-repository', value: name } as const;
    throw cannot('NOT_FOUND', `mirror ${quote(`${registry}/${name}`)}`, 'unknown upstream registry', reason);
  };
}
