import { type Client, type ClientEvent, type ClientOptions, createClient } from '../index.ts';
import type { Given } from './command.ts';
import { readConfiguration, reportWarnings } from './configuration.ts';
import type { Io } from './io.ts';
import { limitsOf } from './limits.ts';

/** What a command needs of its client besides the configuration. */
export interface ClientUse {
  readonly onEvent?: (event: ClientEvent) => void;
  /** Default: prints it on stderr. */
  readonly onWarning?: (text: string) => void;
  readonly limits?: ClientOptions['limits'];
  /** Those that a configuration may change. */
  readonly defaultLimits?: ClientOptions['limits'];
  readonly userAgent?: string;
}

/** Runs `use` with a client of the configuration that the flags name, then closes it. Each warning is reported once. */
export async function withClient<T>(
  given: Given,
  io: Io,
  use: (client: Client) => Promise<T>,
  { onEvent, onWarning = (text) => reportWarnings([text], io), limits, defaultLimits, userAgent }: ClientUse = {},
): Promise<T> {
  const reported = new Set<string>();
  const warn = (text: string): void => {
    if (reported.has(text) || given.flags.has('quiet')) return;
    reported.add(text);
    onWarning(text);
  };
  const fromFlags = limitsOf(given);
  const { config } = await readConfiguration(given);
  const client = createClient({
    config,
    ...fromFlags,
    limits: { ...defaultLimits, ...(defaultLimits && config.limits), ...limits, ...fromFlags.limits },
    ...(userAgent !== undefined && { userAgent }),
    onEvent: (event) => {
      if (event.type === 'warning') warn(event.host === undefined ? event.text : `${event.host}: ${event.text}`);
      onEvent?.(event);
    },
  });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}
