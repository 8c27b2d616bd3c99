/** Hosts that gave wrong bytes, by digest: they are asked last for it from then on. Holds a thousand digests. */
export interface Liars {
  /** `hosts` gave the bytes, in this order. One alone lied; of several, the last, whose bytes reached the end, may be honest. */
  remember(digest: string, hosts: Iterable<string>): void;
  /** In the order in which to ask them, after all others. */
  of(digest: string): readonly string[];
}

export function createLiars(most = 1000): Liars {
  const known = new Map<string, readonly string[]>();
  return {
    remember: (digest, hosts) => {
      const served = [...hosts].reverse();
      const others = (known.get(digest) ?? []).filter((host) => !served.includes(host));
      known.set(digest, served.length > 1 ? [...served, ...others] : [...others, ...served]);
      const [oldest] = known.keys();
      if (known.size > most && oldest !== undefined) known.delete(oldest);
    },
    of: (digest) => known.get(digest) ?? [],
  };
}
