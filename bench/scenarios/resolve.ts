// A tag resolved over a connection that is open.
import type { Scenario } from '../support/scenario.ts';
import { serveImage } from '../support/served.ts';
import { taskWay } from '../support/tasks.ts';

const work = 'a tag resolved, warm';

export const scenario: Scenario = {
  title: 'a tag resolved again and again by one client, beside bare HEAD requests of undici',
  columns: ['µs each', 'CPU s', 'peak MiB', 'requests', 'connections'],
  prepare: async (setting) => {
    const { image, server, plain } = await serveImage(setting, [1_024]);
    const { host, repository, counts } = plain;
    const times = setting.isSmall ? 20 : 2_000;
    const task = { host, repository, digest: image.manifest.digest, times };
    const ways = (['undici', 'ocifetch'] as const).map((how) =>
      taskWay({ work, name: how === 'undici' ? 'undici, HEAD' : how, program: 'resolve' }, { ...task, how }, counts),
    );
    return { ways, lacking: server.lacking };
  },
};
