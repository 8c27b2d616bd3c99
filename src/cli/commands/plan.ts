import { type Endpoint, formatReference, type Plan, redactUrl } from '../../index.ts';
import type { Command } from '../command.ts';
import { readPlan } from '../configuration.ts';
import { exitCodes } from '../exit-codes.ts';
import { oneLine, type Paint, painter, writeJson, writeLines } from '../io.ts';
import { formatDuration } from '../units.ts';

export const planCommand: Command = {
  about:
    'Prints the hosts that would be contacted for a reference, in order, and those left out, each with the line of the\n' +
    'file that decides it. Nothing is sent.',
  words: [1, 1],
  options: {},
  examples: [
    ['ocifetch plan alpine:3.20', 'what the configuration in the usual places means for an image'],
    ['ocifetch plan --hosts-dir ./certs.d quay.io/team/app:1', "what a directory of containerd's files means"],
    ['ocifetch plan --json alpine | jq .endpoints[].url', 'for a script'],
  ],
  run: async (given, io) => {
    const { plan } = await readPlan(given, io);
    if (given.flags.has('json')) writeJson(io, plan);
    else writeLines(io.stdout, planLines(plan, painter(io, io.stdout)));
    return plan.endpoints.length > 0 ? exitCodes.ok : exitCodes.configuration;
  },
};

function planLines(plan: Plan, paint: Paint): string[] {
  const { reference, endpoints, skipped } = plan;
  const rows = endpoints.flatMap((endpoint, index) => [
    '',
    `${index + 1}  ${paint('bold', new URL(endpoint.url).host)}`,
    ...endpointRows(endpoint, plan).map(([name, value]) => `   ${paint('dim', name.padEnd(12))} ${oneLine(value)}`),
  ]);
  const left = skipped.map(
    ({ url, reason, declaredAt }) =>
      `-  ${paint('bold', redactUrl(url))}  ${oneLine(reason)}${declaredAt === undefined ? '' : `  (${oneLine(declaredAt)})`}`,
  );
  return [
    formatReference(reference),
    ...(rows.length > 0 ? rows : ['', paint('red', 'No host is contacted.')]),
    ...(left.length > 0 ? ['', 'left out', ...left] : []),
  ];
}

function endpointRows(endpoint: Endpoint, { reference }: Plan): (readonly [string, string])[] {
  const { url, repository, scopes, namespace, rewrite, credentials, declaredAt, headers, capabilities, proxy } =
    endpoint;
  const { hedge, crawl } = endpoint;
  const isPassedOver = reference.digest === undefined && !capabilities.includes('resolve');
  const rows: (readonly [string, string | undefined])[] = [
    ['url', url],
    ['used for', usesOf(endpoint) + (isPassedOver ? '; not to resolve this tag' : '')],
    ['repository', rewrite ? `${rewrite.from} → ${repository}` : repository],
    ['rewrite', rewrite && `${quoted(rewrite.pattern)} → ${quoted(rewrite.replacement)}`],
    ['scope', scopes.join(' ')],
    ['ns', namespace ?? 'none'],
    ['credentials', credentials ?? 'none'],
    ['headers', headers && Object.keys(headers).join(', ')],
    ['tls', tlsText(endpoint)],
    ['proxy', proxy ?? 'none'],
    ['if silent', hedge === undefined ? undefined : `for ${formatDuration(hedge)}, the next host is requested, too`],
    [
      'if slow',
      crawl === undefined
        ? undefined
        : `for ${formatDuration(crawl)}, below a tenth of other hosts, the next one continues`,
    ],
    ['declared at', declaredAt ?? 'nowhere: the registry itself'],
  ];
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}

const quoted = (text: string): string => JSON.stringify(text);

const capabilityNames = { pull: 'content', resolve: 'tags', referrers: 'referrers' } as const;

const usesOf = ({ capabilities }: Endpoint): string =>
  capabilities.length === 0 ? 'nothing' : capabilities.map((capability) => capabilityNames[capability]).join(', ');

function tlsText({ url, tls = {} }: Endpoint): string {
  if (url.startsWith('http:')) return 'none, http';
  const { ca = [], cert, insecureSkipVerify } = tls;
  return [
    insecureSkipVerify ? 'certificate not verified' : 'certificate verified',
    ...(ca.length > 0 ? [`own CA (${ca.length})`] : []),
    ...(cert !== undefined ? ['client certificate'] : []),
  ].join(', ');
}
