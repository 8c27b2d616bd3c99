import { type Client, type ClientEvent, type ClientOptions, createClient } from '../index.ts';
import type { Given } from './command.ts';
import { readConfiguration, tellWarnings } from './configuration.ts';
import type { Io } from './io.ts';

/** What a command wants of its client beside the configuration. */
export interface ClientUse {
  readonly onEvent?: (event: ClientEvent) => void;
  /** Instead of stderr at once. */
  readonly onWarning?: (text: string) => void;
  readonly limits?: ClientOptions['limits'];
}

/** A client of the configuration that the flags name, closed when `use` is over. Warnings are told, each once. */
export async function withClient<T>(
  given: Given,
  io: Io,
  use: (client: Client) => Promise<T>,
  { onEvent, onWarning = (text) => tellWarnings([text], io), limits }: ClientUse = {},
): Promise<T> {
  const told = new Set<string>();
  const warn = (text: string): void => {
    if (told.has(text) || given.flags.has('quiet')) return;
    told.add(text);
    onWarning(text);
  };
  const { config } = await readConfiguration(given);
  const client = createClient({
    config,
    ...(limits && { limits }),
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
