// A large configuration: 100 mirrors with 100 rewrite rules each.
import type { Scenario } from '../support/scenario.ts';
import { taskWay } from '../support/tasks.ts';

export const scenario: Scenario = {
  title: '10,000 rewrite rules on 100 hosts: read, and the hosts of a name planned',
  columns: ['read ms', 'ms a name', 'CPU s', 'peak MiB'],
  prepare: async ({ isSmall }) => {
    const way = (hosts: number, rules: number) =>
      taskWay(
        { work: 'rewrite rules', name: `${hosts} hosts, ${hosts * rules} rules`, program: 'rules' },
        { hosts, rules, names: isSmall ? 4 : 100 },
      );
    return { ways: isSmall ? [way(2, 5)] : [way(1, 1), way(10, 100), way(100, 100)], lacking: [] };
  },
};
