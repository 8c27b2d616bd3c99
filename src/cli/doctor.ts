import { createResolver, type Endpoint, formatReference, type Plan, redactUrl } from '../index.ts';
import { adviceOf } from './advice.ts';
import { type Command, type Given, UsageError } from './command.ts';
import { type FileNames, usualNames } from './config-files.ts';
import { readPlan } from './configuration.ts';
import { type Examination, type Examined, examine } from './examine.ts';
import { exitCodes } from './exit-codes.ts';
import { helperAdvice } from './failed-helper.ts';
import { oneLine, type Paint, painter, writeJson, writeLines } from './io.ts';
import type { Step } from './probes.ts';

/** A host, and what is to be said of it. */
interface Diagnosis {
  readonly url: string;
  readonly verdict: 'ok' | 'failed' | 'not asked';
  readonly steps: readonly Step[];
  readonly notes: readonly string[];
  readonly advice?: string | undefined;
  readonly declaredAt?: string | undefined;
}

/** Milliseconds. */
const defaultTimeout = 5_000;
/** Seconds that clocks may differ by before tokens and certificates suffer. */
const mostSkew = 60;

export const doctorCommand: Command = {
  about:
    'Asks each host of the plan on its own: name, connection, certificate, GET /v2/, token, and HEAD of the manifest.\n' +
    'One line for each host: what works, how long it took, and what to do about what does not. Ends with 0 when some\n' +
    'host can serve the reference, with 1 otherwise.',
  words: [1, 1],
  options: { timeout: { type: 'string', value: 'SECONDS', help: 'for each step; 5' } },
  examples: [
    ['ocifetch doctor alpine:3.20', 'why is it slow, or not there?'],
    [
      'ocifetch doctor --registries-yaml ./registries.yaml --timeout 2 quay.io/team/app:1',
      'before a file is put in place',
    ],
  ],
  run: async (given, io) => {
    const { config, plan } = await readPlan(given, io);
    // A plan has its secrets struck out; these are the hosts as a run has them.
    const endpoints = createResolver(config)(plan.reference);
    const around = { config, reference: plan.reference, timeout: timeoutOf(given) };
    const found = await diagnose(endpoints, around, usualNames(given));
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

/** Hosts that tell what a tag names are asked at once; those trusted with digests alone after them, for that digest. */
async function diagnose(endpoints: readonly Endpoint[], around: Examination, names: FileNames): Promise<Diagnosis[]> {
  const { tag = 'latest', digest } = around.reference;
  const resolves = ({ capabilities }: Endpoint): boolean => digest !== undefined || capabilities.includes('resolve');
  const first = await Promise.all(
    endpoints.map((endpoint) => (resolves(endpoint) ? examine(endpoint, digest ?? tag, around) : undefined)),
  );
  const named = digest ?? first.find((one) => one?.digest !== undefined)?.digest;
  const all = await Promise.all(endpoints.map((endpoint, index) => first[index] ?? examine(endpoint, named, around)));
  return all.map((examined) => diagnosisOf(examined, named, names));
}

function diagnosisOf(examined: Examined, named: string | undefined, names: FileNames): Diagnosis {
  const { endpoint, steps, digest, skew = 0, emptyHelpers = [] } = examined;
  const { url, declaredAt, capabilities, proxy } = endpoint;
  const isServed = steps.at(-1)?.name === 'manifest' && steps.at(-1)?.ok === true;
  const isAsked = capabilities.includes('pull');
  const isReached = steps.every(({ ok }) => ok);
  const verdict = isServed && isAsked ? 'ok' : isReached ? 'not asked' : 'failed';
  const behind = skew < 0 ? 'behind' : 'ahead of';
  const notes = [
    ...(proxy === undefined ? [] : [`through the proxy ${proxy}`]),
    ...(Math.abs(skew) > mostSkew
      ? [`the clock of this machine is ${Math.abs(skew)} s ${behind} the host's: set it`]
      : []),
    ...(digest !== undefined && named !== undefined && digest !== named ? [`another host says ${named}`] : []),
    ...(isReached && !isAsked ? ['not trusted with content, so it serves none'] : []),
    ...(isReached && isAsked && !isServed
      ? ['trusted with digests alone, and no other host told what the tag names']
      : []),
    ...(isReached ? [] : emptyHelpers.map((helper) => `${helper} has no login for ${new URL(url).host}`)),
  ];
  const advice = verdict === 'failed' ? (helperAdvice(steps) ?? adviceOf(examined, names)) : undefined;
  return {
    url,
    verdict,
    steps,
    notes,
    ...(advice !== undefined && { advice }),
    ...(declaredAt !== undefined && { declaredAt }),
  };
}

const stepNames: Readonly<Record<Step['name'], string>> = {
  name: 'name',
  tcp: 'TCP',
  tls: 'TLS',
  api: '/v2/',
  token: 'token',
  manifest: 'manifest',
};

function line({ url, verdict, steps, notes, advice }: Diagnosis, paint: Paint): string {
  const colour = { ok: 'green', failed: 'red', 'not asked': 'yellow' } as const;
  const told = steps.map(({ name, ok, duration, found }) => {
    const time = `${Math.round(duration)} ms`;
    const what = oneLine(found);
    return ok
      ? `${stepNames[name]} ${time} (${what})`
      : paint('red', `${stepNames[name]} failed after ${time} (${what})`);
  });
  const text = [told.join(', '), ...notes].join('; ');
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
