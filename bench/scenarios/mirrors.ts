// A pull through a first mirror that is of no use, and a registry that has everything.
import { fortySizes } from '../support/images.ts';
import { ownPull, pull } from '../support/pulls.ts';
import { type Bar, clientColumns, type Scenario, type Way } from '../support/scenario.ts';
import { serveImage } from '../support/served.ts';
import { startUselessHosts } from '../support/slow-hosts.ts';

const work = '40 layers';
const [none, silent, refusing, empty] = ['no mirror', 'silent mirror', 'refusing mirror', 'mirror with 404'] as const;

const slower = (way: string, most: number): Bar => ({
  work,
  column: 'wall s',
  way,
  than: none,
  isDifference: true,
  most,
});

export const scenario: Scenario = {
  title: 'a cold pull of 40 layers, 267 MB, whose first mirror is silent, refuses connections, or has nothing',
  columns: [...clientColumns, 'requests to the mirror'],
  bars: [slower(silent, 0.5), slower(refusing, 0.1), { work, column: 'requests to the mirror', way: empty, most: 1 }],
  prepare: async (setting) => {
    const { cleanup, isSmall } = setting;
    const { plain, server } = await serveImage(setting, fortySizes(isSmall ? 79_000 : undefined));
    const hosts = await startUselessHosts(cleanup);
    const limits = isSmall ? ['--timeout', '300ms'] : [];
    const through = (name: string, mirror?: string): Way => ({
      work,
      name,
      run: async () => {
        const registry = mirror ? { registry: { mirrors: [{ url: `http://${mirror}` }] } } : {};
        hosts.emptyRequests();
        const costs = await pull(
          cleanup,
          { command: (origin, to) => ownPull(origin, to, limits) },
          { ...plain, registry: {}, ...registry },
        );
        return mirror === hosts.empty ? { ...costs, 'requests to the mirror': hosts.emptyRequests() } : costs;
      },
    });
    const ways = [
      through(none),
      through(silent, hosts.silent),
      through(refusing, hosts.refusing),
      through(empty, hosts.empty),
    ];
    return { ways, lacking: server.lacking };
  },
};
