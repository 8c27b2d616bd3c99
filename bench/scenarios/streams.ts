// A blob of 1 GiB read through the public streams and dropped, verified, beside undici and a hash.
import { type Bar, clientColumns, type Scenario } from '../support/scenario.ts';
import { serveImage } from '../support/served.ts';
import { gigabyte, taskWay } from '../support/tasks.ts';
import type { ReadTask } from '../tasks/read.ts';

const [plain, tls] = ['1 GiB discarded, plain', '1 GiB discarded, TLS'] as const;
const base = 'undici request + sha256';
const hows: Readonly<Record<string, ReadTask['how']>> = {
  [base]: 'undici',
  'for await': 'for await',
  'readable()': 'readable',
  'read(64 KiB)': 'read',
};

const barsOf = (work: string, way: string): Bar[] => [
  { work, column: 'wall s', way, than: base, most: 0.85, goal: 0.75 },
  { work, column: 'peak MiB', way, most: 90, goal: 70 },
];

export const scenario: Scenario = {
  title:
    'a blob of 1 GiB discarded, verified, through for await, readable() and read(), plain and over TLS, beside undici',
  columns: clientColumns,
  bars: [plain, tls].flatMap((work) => ['for await', 'readable()'].flatMap((way) => barsOf(work, way))),
  prepare: async (setting) => {
    const { image, server, ...origins } = await serveImage(setting, [gigabyte(setting)]);
    const ways = ([plain, tls] as const).flatMap((work) => {
      const { host, repository, ca, counts } = work === plain ? origins.plain : origins.tls;
      return Object.entries(hows).map(([name, how]) =>
        taskWay({ work, name, program: 'read' }, { how, host, repository, blob: image.layers[0], ca }, counts),
      );
    });
    return { ways, lacking: server.lacking };
  },
};
