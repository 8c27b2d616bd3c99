// Peak memory while a blob is read and dropped, by its size.
import type { Scenario } from '../support/scenario.ts';
import { serveImage } from '../support/served.ts';
import { taskWay } from '../support/tasks.ts';

const mebibyte = 2 ** 20;
const work = 'a blob discarded, TLS';
/** OCIFETCH_BENCH_LARGEST: MiB of the largest blob, if not 2 GiB; 8192 needs that much memory for the server's files. */
const largest = Number(process.env.OCIFETCH_BENCH_LARGEST ?? 2_048);
const nameOf = (mebibytes: number): string => `${mebibytes} MiB`;

export const scenario: Scenario = {
  title:
    'peak memory while a blob is discarded, verified, over TLS: 64 MiB, 1 GiB and OCIFETCH_BENCH_LARGEST (2,048) MiB',
  columns: ['wall s', 'CPU s', 'peak MiB'],
  bars: [
    { work, column: 'peak MiB', way: nameOf(1_024), most: 90, goal: 70 },
    { work, column: 'peak MiB', way: nameOf(largest), than: nameOf(64), isDifference: true, most: 5 },
  ],
  prepare: async (setting) => {
    const sizes = [64, 1_024, largest];
    const { image, server, tls } = await serveImage(
      setting,
      sizes.map((size) => (setting.isSmall ? size * 1_024 : size * mebibyte)),
    );
    const { host, repository, ca } = tls;
    const ways = sizes.map((size, index) =>
      taskWay(
        { work, name: nameOf(size), program: 'read' },
        { how: 'for await', host, repository, ca, blob: image.layers[index] },
      ),
    );
    return { ways, lacking: server.lacking };
  },
};
