import type { Emit } from '../events.ts';

/** What hosts wish their users to be told, each text once; the first time it is an event. */
export interface Warnings {
  add(text: string, host: string): void;
  texts(): readonly string[];
}

export function collectWarnings(emit: Emit): Warnings {
  const texts = new Set<string>();
  return {
    add: (text, host) => {
      if (!texts.has(text)) emit({ type: 'warning', host, text });
      texts.add(text);
    },
    texts: () => [...texts],
  };
}
