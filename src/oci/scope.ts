/** What a token allows: actions on one resource. https://distribution.github.io/distribution/spec/auth/scope/ */
export interface Scope {
  /** `repository`, `registry`, also with a class: `repository(plugin)`. */
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** Reads `repository:library/alpine:pull,push`; undefined for what has another form. A name may hold colons. */
export function parseScope(text: string): Scope | undefined {
  const [, type, name, actions] = /^([^\s:]+):(\S+):([^\s:]+)$/.exec(text) ?? [];
  if (type === undefined || name === undefined || actions === undefined) return undefined;
  const list = actions.split(',');
  return list.includes('') ? undefined : { type, name, actions: list };
}

export const formatScope = ({ type, name, actions }: Scope): string => `${type}:${name}:${actions.join(',')}`;

/** The scope that reading a repository takes. */
export const pullScope = (repositoryName: string): string => `repository:${repositoryName}:pull`;

/**
 * All scopes, each resource once with all its actions, sorted. An argument may hold several with spaces between, as a
 * challenge does; what has another form than a scope is kept as it is.
 */
export function unionScopes(...scopes: (string | readonly string[])[]): string[] {
  const resources = new Map<string, Scope>();
  const others = new Set<string>();
  for (const text of scopes.flat().flatMap((part) => part.split(/\s+/))) {
    if (text === '') continue;
    const scope = parseScope(text);
    if (!scope) {
      others.add(text);
      continue;
    }
    const key = `${scope.type}:${scope.name}`;
    const actions = new Set([...(resources.get(key)?.actions ?? []), ...scope.actions]);
    resources.set(key, { ...scope, actions: [...actions].sort() });
  }
  return [...[...resources.values()].map(formatScope), ...others].sort();
}
