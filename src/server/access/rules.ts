import { type ConfigProblem, configError } from '../../errors.ts';
import { checkPlain, pathText, shown } from '../../text/problems.ts';
import type { AllowAccess } from './check.ts';

/** Who may do what in which repositories. */
export interface AccessRule {
  /**
   * Names of repositories. In a component `*` is any text; a component `**`, once in a name, is any number of components, also
   * none: `team/**` is `team`, `team/app` and all below. `registry:catalog` is the list of all repositories, which no pattern
   * matches.
   */
  readonly repositories: readonly string[];
  /** `pull`, `push`, `delete`; `*` is all. */
  readonly actions: readonly string[];
  /** Names of users; `*` is everyone with a login. */
  readonly users?: readonly string[] | undefined;
  /** Names of groups. */
  readonly groups?: readonly string[] | undefined;
  /** Everyone, also without a login. Default: false. */
  readonly anonymous?: boolean | undefined;
}

/** Rules, and who is in their groups. */
export interface AccessRules {
  readonly rules: readonly AccessRule[];
  /** Names of users by group. */
  readonly groups?: Readonly<Record<string, readonly string[]>> | undefined;
}

/**
 * Access by rules: what one of them allows is allowed, everything else is not. Works with logins (`basicCheck`) and with
 * tokens. `INVALID_CONFIG` for a rule that could never apply.
 */
export function accessRules({ rules, groups = {} }: AccessRules): AllowAccess {
  checkPlain('make access rules', { rules, groups });
  const problems = rules.flatMap((rule, index) => ruleProblems(rule, index, groups));
  if (problems.length > 0) throw configError('make access rules', problems);
  const compiled = rules.map(({ repositories, actions, users = [], groups: names = [], anonymous = false }) => ({
    names: repositories.map(matcher),
    actions: new Set(actions),
    users: new Set([...users, ...names.flatMap((name) => groups[name] ?? [])]),
    hasEveryUser: users.includes('*'),
    anonymous,
  }));
  return (user, repository, action) =>
    compiled.some(
      (rule) =>
        (rule.actions.has(action) || rule.actions.has('*')) &&
        (rule.anonymous || (user !== undefined && (rule.hasEveryUser || rule.users.has(user)))) &&
        rule.names.some((matches) => matches(repository)),
    );
}

const knownActions = ['pull', 'push', 'delete', '*'];

function ruleProblems(rule: AccessRule, index: number, groups: Readonly<Record<string, unknown>>): ConfigProblem[] {
  const { repositories, actions, users = [], groups: names = [], anonymous } = rule;
  const at = (...path: PropertyKey[]): string => pathText(['rules', index, ...path]);
  const problem = (key: string, value: unknown, expected: string): ConfigProblem => ({
    key,
    found: `found ${shown(value)}, ${expected}`,
  });
  const some = 'expected at least one';
  return [
    ...(repositories.length > 0 ? [] : [problem(at('repositories'), repositories, some)]),
    ...repositories
      .filter((pattern) => !isPattern(pattern))
      .map((pattern) =>
        problem(at('repositories'), pattern, 'expected a name with "*" once in a component, "**" once'),
      ),
    ...(actions.length > 0 ? [] : [problem(at('actions'), actions, some)]),
    ...actions
      .filter((action) => !knownActions.includes(action))
      .map((action) => problem(at('actions'), action, `expected one of ${knownActions.join(', ')}`)),
    ...names
      .filter((name) => !Object.hasOwn(groups, name))
      .map((name) => problem(at('groups'), name, 'expected the name of a group')),
    ...(users.length > 0 || names.length > 0 || anonymous
      ? []
      : [problem(at(), rule, 'expected users, groups or anonymous')]),
  ];
}

const anyComponents = '**';

/** At most one `*` in a component and one `**` in a name: then both ends decide, in time in proportion to the name. */
function isPattern(pattern: string): boolean {
  const components = pattern.split('/');
  return (
    components.filter((component) => component === anyComponents).length <= 1 &&
    components.every(
      (component) => component === anyComponents || (component !== '' && component.split('*').length <= 2),
    )
  );
}

function matcher(pattern: string): (name: string) => boolean {
  const components = pattern.split('/');
  const middle = components.indexOf(anyComponents);
  // A colon is in no name of a repository.
  if (pattern.includes(':')) return (name) => name === pattern;
  const first = components.slice(0, middle < 0 ? undefined : middle).map(componentMatcher);
  const last = middle < 0 ? [] : components.slice(middle + 1).map(componentMatcher);
  return (name) => {
    const parts = name.split('/');
    const isLong = middle < 0 ? parts.length === first.length : parts.length >= first.length + last.length;
    return (
      isLong &&
      !name.includes(':') &&
      first.every((matches, index) => matches(parts[index] ?? '')) &&
      last.every((matches, index) => matches(parts[parts.length - last.length + index] ?? ''))
    );
  };
}

function componentMatcher(component: string): (part: string) => boolean {
  const [before = '', after] = component.split('*');
  if (after === undefined) return (part) => part === component;
  return (part) => part.length >= before.length + after.length && part.startsWith(before) && part.endsWith(after);
}
