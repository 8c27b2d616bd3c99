import type { Io } from './io.ts';

/** A flag, as the help shows it. */
export interface Option {
  readonly type: 'string' | 'boolean';
  /** One letter. */
  readonly short?: string;
  /** Name of its value in the help: `FILE`. */
  readonly value?: string;
  /** May be given several times, which joins its values with commas; any other flag with a value is given once. */
  readonly isList?: boolean;
  /** The setting of ocifetch's own file that it replaces: `timeouts.connect`. */
  readonly key?: string;
  readonly help: string;
}

/** The parsed command line. */
export interface Given {
  /** Positional arguments after the command's name. */
  readonly words: readonly string[];
  readonly texts: Readonly<Record<string, string>>;
  readonly flags: ReadonlySet<string>;
}

/** What is known of a command before it is loaded. */
export interface Entry {
  /** One or two words: `config check`. */
  readonly name: string;
  /** Its arguments: `REF`. */
  readonly usage: string;
  readonly summary: string;
  load(): Promise<Command>;
}

/** A command. Its name is in its entry. */
export interface Command {
  /** A paragraph for its help. */
  readonly about: string;
  /** How many arguments it takes. */
  readonly words: readonly [least: number, most: number];
  /** Besides those of all commands. */
  readonly options: Readonly<Record<string, Option>>;
  /** Command lines, and what each is for. */
  readonly examples: readonly (readonly [line: string, purpose: string])[];
  /** `--json` prints one line per object, also for an error. */
  readonly jsonLines?: boolean;
  /** Milliseconds in which it ends by itself after the first signal. Default 150. */
  readonly grace?: number;
  /** Prints its result and returns the exit code. Its caller reports what it throws. */
  run(given: Given, io: Io): Promise<number>;
}

/** Options of all commands. */
export const commonOptions: Readonly<Record<string, Option>> = {
  config: { type: 'string', value: 'FILE', help: "ocifetch's own file: .json, .yaml or .toml" },
  'hosts-dir': { type: 'string', value: 'DIR', help: "containerd's certs.d" },
  'registries-yaml': { type: 'string', value: 'FILE', help: "k3s' and RKE2's registries.yaml" },
  'no-default-endpoint': {
    type: 'boolean',
    help: 'for k3s that runs with --disable-default-registry-endpoint',
  },
  'registries-conf': { type: 'string', value: 'FILE', help: "Podman's registries.conf" },
  'docker-config': { type: 'string', value: 'FILE', help: "Docker's config.json" },
  'auth-file': { type: 'string', value: 'FILE', help: "Podman's auth.json" },
  'regctl-config': { type: 'string', value: 'FILE', help: "regctl's config.json" },
  'allow-private': {
    type: 'string',
    value: 'HOST',
    isList: true,
    help: 'allow a private address: host, .domain, address or CIDR block; may be repeated',
  },
  'no-discover': { type: 'boolean', help: 'do not read the files in the usual places' },
  json: { type: 'boolean', help: 'print JSON' },
  help: { type: 'boolean', short: 'h', help: 'print this' },
  version: { type: 'boolean', short: 'V', help: 'print the version' },
};

export const platformOption: Option = {
  type: 'string',
  value: 'PLATFORM',
  help: 'linux/arm64, windows/amd64, …; default: of this machine',
};

export const outputOption: Option = {
  type: 'string',
  short: 'o',
  value: 'FILE',
  help: 'write to FILE; "-" is stdout, even if it is a terminal',
};

export const quietOption: Option = { type: 'boolean', short: 'q', help: 'print only errors' };

/** A command line that is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  /** The command whose help says more, for an error that comes before the command is known to run. */
  readonly command: string | undefined;

  constructor(message: string, command?: string) {
    super(message);
    this.command = command;
  }
}
