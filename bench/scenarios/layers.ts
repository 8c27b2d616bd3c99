// A cold pull of an image into an OCI layout: 40 layers, 267 MB in total, few of them large.
import { fortySizes } from '../support/images.ts';
import { allLacking, pullWays } from '../support/pulls.ts';
import { type Bar, clientColumns, type Scenario } from '../support/scenario.ts';
import { serveByRegistry, serveImage } from '../support/served.ts';

const [plain, tls, registry] = ['40 layers, plain', '40 layers, TLS', '40 layers, docker-registry'] as const;

const barsOf = (work: string, most: number, goal: number): Bar[] => [
  { work, column: 'wall s', way: 'ocifetch', than: 'crane', most, goal },
  { work, column: 'wall s', way: 'ocifetch', than: 'skopeo', most: 1 },
  { work, column: 'CPU s', way: 'ocifetch', than: 'crane', most: 1.3, goal: 1.05 },
];

export const scenario: Scenario = {
  title: 'a cold pull of 40 layers, 267 MB, from nginx plain and over TLS and from docker-registry',
  columns: clientColumns,
  bars: [...barsOf(plain, 1.9, 1.4), ...barsOf(tls, 1.7, 1.4), ...barsOf(registry, 1.6, 1.2)],
  prepare: async (setting) => {
    const served = await serveImage(setting, fortySizes(setting.isSmall ? 79_000 : undefined));
    const fromRegistry = await serveByRegistry(setting, served.image);
    const names = ['crane', 'oras', 'skopeo', 'regctl'];
    const all = [
      pullWays(setting, plain, served.plain, names),
      pullWays(setting, tls, served.tls, names),
      ...(fromRegistry ? [pullWays(setting, registry, fromRegistry, names)] : []),
    ];
    const without = fromRegistry || !setting.hasPeers ? [] : ['docker-registry: there is no program "docker-registry"'];
    return {
      ways: all.flatMap(({ ways }) => ways),
      lacking: allLacking(served.server.lacking, without, ...all.map(({ lacking }) => lacking)),
    };
  },
};
