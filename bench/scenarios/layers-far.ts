// The same pull from a registry that is far away, and from one whose connections are capped.
import { fortySizes } from '../support/images.ts';
import { allLacking, pullWays } from '../support/pulls.ts';
import { clientColumns, type Scenario } from '../support/scenario.ts';
import { serveImage } from '../support/served.ts';
import { atDistance, capped } from '../support/slow-hosts.ts';

const [far, slow] = ['40 layers, TLS, 50 ms round trip', '40 layers, 20 MB/s per connection'] as const;

export const scenario: Scenario = {
  title: 'a cold pull of 40 layers, 267 MB: over TLS at a round trip of 50 ms, and plain at 20 MB/s per connection',
  columns: clientColumns,
  bars: [
    { work: far, column: 'wall s', way: 'ocifetch', than: 'crane', most: 0.9, goal: 0.75 },
    { work: slow, column: 'wall s', way: 'ocifetch', than: 'crane', most: 0.5, goal: 0.35 },
  ],
  prepare: async (setting) => {
    const { cleanup, isSmall } = setting;
    const { server, plain, tls } = await serveImage(setting, fortySizes(isSmall ? 79_000 : undefined));
    const names = ['crane', 'oras', 'skopeo'];
    const all = [
      pullWays(setting, far, { ...tls, host: await atDistance(cleanup, tls.host, isSmall ? 2 : 50) }, names),
      pullWays(setting, slow, { ...plain, host: await capped(cleanup, plain.host, 20) }, names),
    ];
    return {
      ways: all.flatMap(({ ways }) => ways),
      lacking: allLacking(server.lacking, ...all.map(({ lacking }) => lacking)),
    };
  },
};
