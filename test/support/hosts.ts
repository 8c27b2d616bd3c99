import type { RegistryError } from '../../src/errors.ts';
import { fetchTransport } from '../../src/http/fetch-transport.ts';
import type { Transport, TransportTimeouts } from '../../src/http/transport.ts';
import { serve } from '../../src/server/registry/serve.ts';
import { memoryStore } from '../../src/store/memory.ts';
import type { Sample } from '../contract/source.ts';
import { fill } from '../contract/store.ts';

export type Answer = (request: Request) => Response | Promise<Response>;

export interface Hosts {
  readonly transport: Transport;
  /** Every request, in the order of arrival. */
  readonly requests: readonly Request[];
  /** A line for each request: `GET https://mirror.test/v2/app/blobs/sha256:… bytes=0-9`. */
  readonly log: () => string[];
}

/** Hosts in process, by `host[:port]`. All other hosts refuse connections. */
export function createHosts(answers: Readonly<Record<string, Answer>>, timeouts: TransportTimeouts = {}): Hosts {
  const requests: Request[] = [];
  const send = async (request: Request): Promise<Response> => {
    requests.push(request);
    const answer = answers[new URL(request.url).host];
    if (!answer) throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    return answer(request);
  };
  return { transport: fetchTransport(send, { asSent: true, timeouts }), requests, log: () => requests.map(lineOf) };
}

const lineOf = ({ method, url, headers }: Request): string =>
  [method, url, headers.get('range')].filter((part) => part !== null).join(' ');

/** A host that has the samples, or the given ones, in every repository. */
export async function sampleHost(content?: readonly Sample[]): Promise<Answer> {
  const store = memoryStore();
  await fill(store, content);
  return serve(() => store);
}

/** A registry's response for content that it does not have. */
export const refusal =
  (status: number, code = 'UNKNOWN', message = 'no'): Answer =>
  () =>
    Response.json({ errors: [{ code, message }] }, { status });

/** A body of unknown length, with one chunk for each part. */
export function chunked(...parts: (Uint8Array | 'break' | 'stall')[]): ReadableStream<Uint8Array> {
  const rest = [...parts];
  return new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        const part = rest.shift();
        if (part === 'stall') return new Promise(() => {});
        if (part === 'break') controller.error(new Error('the line is dead'));
        else if (part) controller.enqueue(part.slice());
        else controller.close();
        return undefined;
      },
    },
    { highWaterMark: 0 },
  );
}

/** The error of a promise that must be rejected. */
export const errorOf = (promise: Promise<unknown>): Promise<RegistryError> =>
  promise.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: RegistryError) => error,
  );

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
