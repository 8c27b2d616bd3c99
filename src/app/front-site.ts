import {
  type FrontEvent,
  type FrontOptions,
  loadFront,
  redirectFront,
  type ServerEvent,
  wrapHandler,
} from '../server/index.ts';
import { counted, numberText, printable } from './printable.ts';
import type { Site, SiteFacts } from './site.ts';

type Destination = NonNullable<FrontEvent['to']>;

/** The front that a file describes. `INVALID_CONFIG` with all that is wrong with it. */
export const frontSite = async (path: string): Promise<Site> => siteOf(await loadFront(path));

/** A front that redirects to a registry and to buckets: `redirectFront` with counters. */
export function siteOf(options: FrontOptions): Site {
  const counts: Record<Destination, number> = { upstream: 0, signatures: 0, bucket: 0, info: 0, privacy: 0 };
  const { upstream, buckets = [], info } = options;
  const about = `redirects to ${upstream}${buckets.length === 0 ? '' : ` and ${counted(buckets.length, 'bucket')}`}`;
  return {
    kind: 'front',
    about: printable(about, 300),
    hasHome: info !== undefined,
    handler: ({ onEvent }) => {
      const started = new WeakMap<Request, number>();
      const front = redirectFront({
        ...options,
        onEvent: (event) => {
          if (event.to) counts[event.to] += 1;
          const { request } = event;
          onEvent?.(eventOf(event, performance.now() - (started.get(request) ?? performance.now())));
          return options.onEvent?.(event);
        },
      });
      return wrapHandler(front, (request, connection) => {
        started.set(request, performance.now());
        return front(request, connection);
      });
    },
    facts: () => factsOf(counts),
  };
}

/** A front has no bodies of its own, but short texts. */
const eventOf = ({ request, status, to }: FrontEvent, duration: number): ServerEvent => ({
  request,
  action: to === undefined ? 'none' : 'pull',
  status,
  bytes: 0,
  duration,
});

function factsOf({ upstream, signatures, bucket, info, privacy }: Readonly<Record<Destination, number>>): SiteFacts {
  const content = upstream + signatures + bucket;
  const note = (count: number): string =>
    content === 0 ? 'nothing yet' : `${Math.floor((count / content) * 100)} % of redirects`;
  return {
    cards: [
      { label: 'To buckets', value: numberText(bucket), note: note(bucket) },
      { label: 'To the registry', value: numberText(upstream + signatures), note: note(upstream + signatures) },
    ],
    json: { redirects: { upstream, signatures, bucket, info, privacy } },
  };
}
