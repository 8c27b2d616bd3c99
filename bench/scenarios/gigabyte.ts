// A cold pull of an image with one layer of 1 GiB into an OCI layout.
import { allLacking, pullWays } from '../support/pulls.ts';
import { type Bar, clientColumns, type Scenario } from '../support/scenario.ts';
import { serveImage } from '../support/served.ts';
import { gigabyte } from '../support/tasks.ts';

const [plain, tls] = ['1 GiB, plain', '1 GiB, TLS'] as const;

const barsOf = (work: string, most: number, goal: number): Bar[] => [
  { work, column: 'wall s', way: 'ocifetch', than: 'crane', most, goal },
  { work, column: 'peak MiB', way: 'ocifetch', most: 90, goal: 70 },
];

export const scenario: Scenario = {
  title: 'a cold pull of one layer of 1 GiB into an OCI layout, from nginx plain and over TLS',
  columns: clientColumns,
  bars: [...barsOf(plain, 0.95, 0.8), ...barsOf(tls, 1.15, 1)],
  prepare: async (setting) => {
    const served = await serveImage(setting, [gigabyte(setting)]);
    const all = [
      pullWays(setting, plain, served.plain, ['crane', 'oras']),
      pullWays(setting, tls, served.tls, ['crane', 'oras']),
    ];
    return {
      ways: all.flatMap(({ ways }) => ways),
      lacking: allLacking(served.server.lacking, ...all.map(({ lacking }) => lacking)),
    };
  },
};
