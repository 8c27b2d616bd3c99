import { createResolver, type Endpoint, formatReference, type Plan, redactUrl } from '../../index.ts';
import { type Command, type Given, UsageError } from '../command.ts';
import { readPlan } from '../configuration.ts';
import { exitCodes } from '../exit-codes.ts';
import { oneLine, type Paint, painter, writeJson, writeLines } from '../io.ts';
import { sizeOptions, sizesOf } from '../limits.ts';
import { adviceOf, type FileNames, usualNames } from './advice.ts';
import { type Examination, type Examined, examine } from './examine.ts';
import type { Step } from './probes.ts';

/** The verdict on a host. */
interface Diagnosis {
  readonly url: string;
  readonly verdict: 'ok' | 'failed' | 'not used';
  readonly steps: readonly Step[];
  readonly notes: readonly string[];
  readonly advice?: string | undefined;
  readonly declaredAt?: string | undefined;
}

/** Milliseconds. */
const defaultTimeout = 5_000;
/** Seconds by which clocks may differ before tokens and certificates fail. */
const mostSkew = 60;

export const doctorCommand: Command = {
  about:
    'Examines each host of the plan: name, connection, certificate, GET /v2/, token, the manifest, and its smallest blob,\n' +
    'wherever that is redirected to.\n' +
    'One line for each host: what works, how long it took, and how to fix what does not. The exit code is 0 if any host\n' +
    'can serve the reference, 1 otherwise.',
  words: [1, 1],
  options: { timeout: { type: 'string', value: 'SECONDS', help: 'for each step; default: 5' }, ...sizeOptions },
  examples: [
    ['ocifetch doctor alpine:3.20', 'why it is slow or not found'],
    [
      'ocifetch doctor --registries-yaml ./registries.yaml --timeout 2 quay.io/team/app:1',
      'try a file before it is installed',
    ],
  ],
  run: async (given, io) => {
    const { config, plan } = await readPlan(given, io);
    // A plan has no secrets; these are the hosts as a run uses them.
    const endpoints = createResolver(config)(plan.reference);
    const examination = { config, reference: plan.reference, timeout: timeoutOf(given), limits: sizesOf(given) };
    const found = await diagnose(endpoints, examination, usualNames(given));
    const paint = painter(io, io.stdout);
    if (given.flags.has('json')) writeJson(io, { reference: plan.reference, hosts: found, skipped: plan.skipped });
    else
      writeLines(io.stdout, [
        ...found.map((one) => line(one, paint)),
        ...leftOut(plan, paint),
        ...summary(found, plan),
      ]);
    return found.some(({ verdict }) => verdict === 'ok') ? exitCodes.ok : exitCodes.failed;
  },
};

function timeoutOf({ texts: { timeout } }: Given): number {
  if (timeout === undefined) return defaultTimeout;
  const seconds = Number(timeout);
  if (seconds > 0 && seconds <= 3600) return Math.ceil(seconds * 1000);
  throw new UsageError(`Flag "--timeout" needs seconds above 0 and at most 3600: "${timeout}"`);
}

/** Hosts that resolve tags are examined at once; those only trusted with digests after them, with the digest found. */
async function diagnose(
  endpoints: readonly Endpoint[],
  examination: Examination,
  names: FileNames,
): Promise<Diagnosis[]> {
  const { tag = 'latest', digest } = examination.reference;
  const resolves = ({ capabilities }: Endpoint): boolean => digest !== undefined || capabilities.includes('resolve');
  const first = await Promise.all(
    endpoints.map((endpoint) => (resolves(endpoint) ? examine(endpoint, digest ?? tag, examination) : undefined)),
  );
  const named = digest ?? first.find((one) => one?.digest !== undefined)?.digest;
  const all = await Promise.all(
    endpoints.map((endpoint, index) => first[index] ?? examine(endpoint, named, examination)),
  );
  return all.map((examined) => diagnosisOf(examined, named, names));
}

function diagnosisOf(examined: Examined, named: string | undefined, names: FileNames): Diagnosis {
  const { endpoint, steps, digest, skew = 0, emptyHelpers = [] } = examined;
  const { url, declaredAt, capabilities, proxy } = endpoint;
  const isServed = steps.at(-1)?.ok === true && steps.some(({ name, ok }) => name === 'manifest' && ok);
  const isUsed = capabilities.includes('pull');
  const isReached = steps.every(({ ok }) => ok);
  const verdict = isServed && isUsed ? 'ok' : isReached ? 'not used' : 'failed';
  const behind = skew < 0 ? 'behind' : 'ahead of';
  const notes = [
    ...(proxy === undefined ? [] : [`through the proxy ${proxy}`]),
    ...(Math.abs(skew) > mostSkew
      ? [`the clock of this machine is ${Math.abs(skew)} s ${behind} the host's: set it`]
      : []),
    ...(digest !== undefined && named !== undefined && digest !== named ? [`another host says ${named}`] : []),
    ...(isReached && !isUsed ? ['not trusted with content, so it serves none'] : []),
    ...(isReached && isUsed && !isServed ? ['only trusted with digests, and no other host resolved the tag'] : []),
    ...(isReached ? [] : emptyHelpers.map((helper) => `${helper} has no login for ${new URL(url).host}`)),
  ];
  const advice = verdict === 'failed' ? adviceOf(examined, names) : undefined;
  return { url, verdict, steps, notes, advice, declaredAt };
}

const stepNames: Readonly<Record<Step['name'], string>> = {
  name: 'name',
  tcp: 'TCP',
  tls: 'TLS',
  api: '/v2/',
  token: 'token',
  manifest: 'manifest',
  blob: 'blob',
};

function line({ url, verdict, steps, notes, advice }: Diagnosis, paint: Paint): string {
  const colour = { ok: 'green', failed: 'red', 'not used': 'yellow' } as const;
  const parts = steps.map(({ name, ok, duration, found }) => {
    const time = `${Math.round(duration)} ms`;
    const what = oneLine(found);
    return ok
      ? `${stepNames[name]} ${time} (${what})`
      : paint('red', `${stepNames[name]} failed after ${time} (${what})`);
  });
  const text = [parts.join(', '), ...notes].join('; ');
  return `${paint(colour[verdict], verdict.padEnd(9))}  ${paint('bold', url)}  ${text}.${advice === undefined ? '' : ` ${oneLine(advice)}.`}`;
}

const leftOut = ({ skipped }: Plan, paint: Paint): string[] =>
  skipped.map(
    ({ url, reason, declaredAt }) =>
      `${paint('yellow', 'left out ')}  ${paint('bold', redactUrl(url))}  ${oneLine(reason)}${declaredAt === undefined ? '' : ` (${oneLine(declaredAt)})`}.`,
  );

function summary(found: readonly Diagnosis[], { reference }: Plan): string[] {
  const served = found.find(({ verdict }) => verdict === 'ok');
  const text = formatReference(reference);
  return [served ? `${text} would be served by ${served.url}.` : `No host can serve ${text}.`];
}
