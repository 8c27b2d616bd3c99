// A cold pull of an artifact of many small blobs, near and far.
import { thousandsOfSizes } from '../support/images.ts';
import { allLacking, pullWays } from '../support/pulls.ts';
import { clientColumns, type Scenario } from '../support/scenario.ts';
import { serveImage } from '../support/served.ts';
import { atDistance } from '../support/slow-hosts.ts';

const [near, far] = ['2,000 × 4 KiB, plain', '2,000 × 4 KiB, TLS, 50 ms round trip'] as const;

export const scenario: Scenario = {
  title: 'a cold pull of 2,000 blobs of 4 KiB, plain over loopback and over TLS at a round trip of 50 ms',
  columns: clientColumns,
  bars: [
    { work: near, column: 'wall s', way: 'ocifetch', than: 'oras', most: 1.5, goal: 1 },
    { work: far, column: 'wall s', way: 'ocifetch', most: 4, goal: 1.5 },
  ],
  isSlow: true,
  prepare: async (setting) => {
    const { cleanup, isSmall } = setting;
    const { server, plain, tls } = await serveImage(setting, thousandsOfSizes(isSmall ? 40 : undefined));
    const all = [
      pullWays(setting, near, plain, ['oras', 'regctl', 'crane']),
      pullWays(setting, far, { ...tls, host: await atDistance(cleanup, tls.host, isSmall ? 2 : 50) }, ['oras']),
    ];
    return {
      ways: all.flatMap(({ ways }) => ways),
      lacking: allLacking(server.lacking, ...all.map(({ lacking }) => lacking)),
    };
  },
};
