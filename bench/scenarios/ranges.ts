// A blob of 1 GiB from hosts that send 20 MB/s on each connection: one stream, several connections, several mirrors.
import { type Costs, clientColumns, type Scenario, type Way } from '../support/scenario.ts';
import { serveImage } from '../support/served.ts';
import { capped } from '../support/slow-hosts.ts';
import { gigabyte, taskWay } from '../support/tasks.ts';

const work = '1 GiB, 20 MB/s per connection';
const [one, own, mirrors] = ['one stream (undici)', 'ocifetch', 'ocifetch, three mirrors'] as const;

export const scenario: Scenario = {
  title: 'a blob of 1 GiB at 20 MB/s per connection: one stream, from one host, and from three mirrors',
  columns: clientColumns,
  bars: [
    { work, column: 'wall s', way: own, than: one, most: 1 / 6, goal: 1 / 7.4 },
    { work, column: 'wall s', way: mirrors, than: one, most: 1 / 9, goal: 1 / 10.5 },
    { work, column: 'peak MiB', way: mirrors, most: 90, goal: 70 },
  ].map((bar) => ({ ...bar, most: Number(bar.most.toFixed(3)), goal: Number(bar.goal.toFixed(3)) })),
  isSlow: true,
  prepare: async (setting) => {
    const { image, server, plain } = await serveImage(setting, [gigabyte(setting)]);
    const hosts = await Promise.all([0, 1, 2].map(() => capped(setting.cleanup, plain.host, 20)));
    const [host, ...others] = hosts;
    const { repository } = plain;
    const [blob] = image.layers;
    const way = (name: string, task: object): Way =>
      taskWay(
        { work, name, program: 'read' },
        { repository, blob, host, ...task },
        plain.counts as () => Promise<Costs>,
      );
    const ways = [
      way(one, { how: 'undici' }),
      way(own, { how: 'for await' }),
      way(mirrors, { how: 'for await', mirrors: others }),
    ];
    return { ways, lacking: server.lacking };
  },
};
