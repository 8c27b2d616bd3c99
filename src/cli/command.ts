import type { Io } from './io.ts';

/** A flag, as the help shows it. */
export interface Option {
  readonly type: 'string' | 'boolean';
  /** One letter for it. */
  readonly short?: string;
  /** What its value is: `FILE`. */
  readonly value?: string;
  /** Given again it adds to its value, behind a comma; another flag with a value is given once. */
  readonly isList?: boolean;
  readonly help: string;
}

/** What was written on the command line, checked. */
export interface Given {
  /** Behind the command's name. */
  readonly words: readonly string[];
  readonly texts: Readonly<Record<string, string>>;
  readonly flags: ReadonlySet<string>;
}

/** What is known of a command before it is loaded. */
export interface Entry {
  /** `config check`: its words. */
  readonly name: string;
  /** What is written behind the name: `REF`. */
  readonly usage: string;
  readonly summary: string;
  load(): Promise<Command>;
}

/** A command; its name is in the list of all of them. */
export interface Command {
  /** More about it, a paragraph. */
  readonly about: string;
  /** How many words it takes. */
  readonly words: readonly [least: number, most: number];
  /** Beside those of all commands. */
  readonly options: Readonly<Record<string, Option>>;
  /** What is written, and what for. */
  readonly examples: readonly (readonly [line: string, purpose: string])[];
  /** `--json` prints a line for each thing, and so for a failure. */
  readonly jsonLines?: boolean;
  /** Prints, and gives the exit code. What it throws is told by its caller. */
  run(given: Given, io: Io): Promise<number>;
}

/** Options of all commands. */
export const commonOptions: Readonly<Record<string, Option>> = {
  config: { type: 'string', value: 'FILE', help: "ocifetch's own file: .json, .yaml or .toml" },
  'hosts-dir': { type: 'string', value: 'DIR', help: "containerd's certs.d" },
  'registries-yaml': { type: 'string', value: 'FILE', help: "k3s' and RKE2's registries.yaml" },
  'no-default-endpoint': {
    type: 'boolean',
    help: 'k3s is started with --disable-default-registry-endpoint',
  },
  'registries-conf': { type: 'string', value: 'FILE', help: "Podman's registries.conf" },
  'docker-config': { type: 'string', value: 'FILE', help: "Docker's config.json" },
  'auth-file': { type: 'string', value: 'FILE', help: "Podman's auth.json" },
  'regctl-config': { type: 'string', value: 'FILE', help: "regctl's config.json" },
  'no-discover': { type: 'boolean', help: 'do not look at the usual places' },
  json: { type: 'boolean', help: 'print JSON' },
  help: { type: 'boolean', short: 'h', help: 'print this' },
  version: { type: 'boolean', short: 'V', help: 'print the version' },
};

/** A command line that is not right: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
