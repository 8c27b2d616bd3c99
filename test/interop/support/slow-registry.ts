import { testRegistry } from 'ocifetch/testing';
import type { Cleanup } from './cleanup.ts';

/** A registry with one image of many layers, which sends at a limited rate. */
export interface SlowRegistry {
  /** `127.0.0.1:port/team/layers:v1`. */
  readonly reference: string;
  /** Bytes of all layers, config and manifest. */
  readonly size: number;
  readonly digests: readonly string[];
  /** Bytes of bodies that were written to sockets since the last call. */
  sent(): number;
  /** Requests since the last call: `GET /v2/…`. */
  requests(): string[];
}

export interface SlowOptions {
  readonly layers: number;
  /** Bytes of the largest layer; the smallest has a hundredth of that. */
  readonly largest: number;
  /** Bytes per second for each connection. */
  readonly rate: number;
}

export async function startSlowRegistry(cleanup: Cleanup, options: SlowOptions): Promise<SlowRegistry> {
  const { layers: count, largest, rate } = options;
  const sizes = Array.from({ length: count }, (_, index) => Math.round(largest / 100 + (largest * index) / count));
  const layers = sizes.map((size, index) => ({ files: { [`layer ${index}`]: { size } } }));
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const registry = await testRegistry({
    images: { 'team/layers:v1': { layers, compression: 'none', config: { architecture } } },
    faults: [{ speed: rate }],
  });
  cleanup.add(registry.close);
  const { reference, manifests } = registry.images['team/layers:v1'];
  const contents = manifests.flatMap((manifest) => [manifest, manifest.config, ...manifest.layers]);
  const total = (): number => registry.requests.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
  let [counted, listed] = [0, 0];
  return {
    reference,
    size: contents.reduce((sum, { bytes }) => sum + bytes.length, 0),
    digests: contents.map(({ descriptor }) => descriptor.digest),
    sent: () => {
      const before = counted;
      counted = total();
      return counted - before;
    },
    requests: () => {
      const before = listed;
      listed = registry.requests.length;
      return registry.requests.slice(before).map(({ method, path }) => `${method} ${path}`);
    },
  };
}
