import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { EndpointStatus } from '../notifications/endpoint.ts';
import type { Handler } from '../registry/exchange.ts';
import type { ServerEvent } from '../registry/serve-options.ts';

/** What else is measured. */
export interface ServerMetricsOptions {
  /** Begins every name. Default: `registry_`. */
  readonly prefix?: string | undefined;
  /** What became of notifications: `status` of `notifications`. */
  readonly notifications?: (() => readonly EndpointStatus[]) | undefined;
  /** Also what Node itself measures: memory, event loop, garbage collection. Default: true. */
  readonly hasRuntime?: boolean | undefined;
}

/** Figures of a server in the form of Prometheus. */
export interface ServerMetrics {
  /** For `onEvent` of `serve`. */
  observe(event: ServerEvent): void;
  /** Responds with all figures, whatever the path. */
  readonly handler: Handler;
}

/** Seconds; a blob may take long. */
const buckets = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300];

/** Methods that clients choose freely would make any number of series. */
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);

/**
 * Counts what a server does, for Prometheus. The number of series is bounded: repositories, tags and users are no labels. Needs
 * `prom-client`.
 */
export function serverMetrics(options: ServerMetricsOptions = {}): ServerMetrics {
  const { prefix = 'registry_', notifications, hasRuntime = true } = options;
  const registers = [new Registry()] as [Registry];
  const [register] = registers;
  const labelNames = ['method', 'action', 'code'] as const;
  const requests = new Counter({
    ...{ name: `${prefix}http_requests_total`, help: 'Responses that have ended', labelNames, registers },
  });
  const bytes = new Counter({
    ...{ name: `${prefix}http_response_bytes_total`, help: 'Bytes of bodies that were sent' },
    ...{ labelNames: ['action'] as const, registers },
  });
  const duration = new Histogram({
    ...{ name: `${prefix}http_request_duration_seconds`, help: 'From the request to the end of its response' },
    ...{ labelNames: ['action'] as const, buckets, registers },
  });
  if (notifications) notificationMetrics(prefix, registers, notifications);
  if (hasRuntime) collectDefaultMetrics({ register });
  return {
    observe: (event) => {
      const { request, action, status } = event;
      const method = methods.has(request.method) ? request.method : 'other';
      requests.inc({ method, action, code: String(status) });
      bytes.inc({ action }, event.bytes);
      duration.observe({ action }, event.duration / 1_000);
    },
    handler: async () => new Response(await register.metrics(), { headers: { 'content-type': register.contentType } }),
  };
}

/** The figures that distribution has of its endpoints. */
function notificationMetrics(prefix: string, registers: [Registry], status: () => readonly EndpointStatus[]): void {
  const gauge = (name: string, help: string, value: (one: EndpointStatus) => number): void => {
    const made: Gauge<'endpoint'> = new Gauge({
      ...{ name: `${prefix}notifications_${name}`, help, labelNames: ['endpoint'] as const, registers },
      collect: () => {
        for (const one of status()) made.set({ endpoint: one.name }, value(one));
      },
    });
  };
  gauge('pending', 'Notifications that wait', ({ pending }) => pending);
  gauge('events_total', 'Notifications since the start', ({ events }) => events);
  gauge('successes_total', 'Notifications that were accepted', ({ successes }) => successes);
  gauge('failures_total', 'Responses that did not accept', ({ failures }) => failures);
  gauge('errors_total', 'Requests without a response', ({ errors }) => errors);
}
