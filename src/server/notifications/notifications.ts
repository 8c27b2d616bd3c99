import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { readAll } from '../../body.ts';
import { asRegistryError, type ConfigProblem, configError, type RegistryError } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { defaultManifestBytes, kindOf, parseDocument } from '../../oci/manifest.ts';
import type { Repository } from '../../oci/reference.ts';
import { keepHeader, keepUrl } from '../../redaction.ts';
import type { Registry } from '../../source.ts';
import {
  type Check,
  type Checks,
  checkOptions,
  filledText,
  listener,
  optionProblems,
  urlLike,
  wholeNumber,
} from '../../text/problems.ts';
import type { ServerEvent } from '../registry/serve-options.ts';
import { diskQueue } from './disk-queue.ts';
import { type Delivery, type EndpointStatus, type NotificationEndpoint, startDelivery } from './endpoint.ts';
import { type Notification, type NotificationSource, notificationOf } from './envelope.ts';
import { memoryQueue } from './queue.ts';

/** Who is notified of what a server does. */
export interface NotificationsOptions {
  readonly endpoints: readonly NotificationEndpoint[];
  /** Where what is not delivered is kept, over a restart: one process at a time. Default: in memory. */
  readonly directory?: string | undefined;
  /** Most notifications that wait for one endpoint; more are lost, which `onError` reports. Default: 1,000,000, in memory 10,000. */
  readonly most?: number | undefined;
  /** Host and port of the server. Default: the name of the machine. */
  readonly addr?: string | undefined;
  readonly baseUrl?: NotificationSource['baseUrl'];
  /** Notifications of a manifest list what it refers to, which is read here. Default: they do not. */
  readonly references?: Registry | undefined;
  /** Default: the runtime's. */
  readonly fetch?: typeof fetch | undefined;
  /** Called with the first of several failures of an endpoint, once more when it is waited for, and when a notification is lost. */
  readonly onError?: ((error: RegistryError) => void) | undefined;
}

/** Notifications under way. */
export interface Notifications {
  /** For `onEvent` of `serve`. Never fails, and returns when the event is in all queues. */
  observe(event: ServerEvent): void;
  status(): readonly EndpointStatus[];
  /** Stops, after up to `drain` milliseconds for what waits; 0 by default. The rest stays in the directory. */
  close(options?: { readonly drain?: number }): Promise<void>;
}

const texts: Check = (value) =>
  Array.isArray(value) && value.every((one) => typeof one === 'string') ? undefined : 'expected a list of texts';
const url = urlLike(/^https?:\/\//i, 'https://audit.example/events');
const milliseconds = wholeNumber(1, 2 ** 31 - 1);
const fields: Check = (value) =>
  typeof value === 'object' &&
  value !== null &&
  Object.values(value)
    .flat()
    .every((one) => typeof one === 'string')
    ? undefined
    : 'expected texts, or lists of them, by name';

const endpointChecks: Checks = {
  name: (value) =>
    typeof value === 'string' && /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(value)
      ? undefined
      : 'expected letters, digits, dots, dashes and underscores',
  url,
  headers: fields,
  timeout: milliseconds,
  threshold: wholeNumber(1, 1_000_000),
  backoff: milliseconds,
  ignore: () => ({ mediaTypes: texts, actions: texts }),
  version: wholeNumber(1, 2),
};

const checks: Checks = {
  endpoints: (value) => (Array.isArray(value) ? undefined : 'expected a list'),
  directory: filledText,
  most: wholeNumber(1, 1_000_000_000),
  addr: filledText,
  baseUrl: url,
  references: listener,
  fetch: listener,
  onError: listener,
};

/**
 * Notifies others of what a server does, as distribution does: a POST for each event, with its envelope and media type, to each
 * endpoint in order, again until it is accepted. An endpoint that fails holds up neither the others nor a request.
 *
 * `INVALID_CONFIG` for wrong options, and `STORE_ERROR` if the directory cannot be used. Whoever calls it closes it.
 */
export function notifications(options: NotificationsOptions): Notifications {
  checkAll(options);
  const { endpoints, references, onError = () => {}, addr = hostname(), baseUrl } = options;
  const source: NotificationSource = { addr, instanceID: crypto.randomUUID(), baseUrl };
  const deliveries = endpoints.map((endpoint) => startFor(endpoint, { ...options, onError }));
  const notify = (notification: Notification): void => {
    for (const delivery of deliveries) delivery.notify(notification);
  };
  /** What is still to be read, so that events stay in their order. */
  let reading: Promise<void> | undefined;
  const afterReading = (work: () => Promise<void>): void => {
    const before = reading ?? Promise.resolve();
    const after: Promise<void> = before.then(work).finally(() => {
      if (reading === after) reading = undefined;
    });
    reading = after;
  };
  return {
    observe: (event) => {
      const notification = notificationOf(event, source);
      if (!notification) return;
      const { repository, descriptor, action } = event;
      const isManifest = descriptor && kindOf(descriptor.mediaType) === 'manifests' && action !== 'delete';
      if (references && repository && isManifest)
        afterReading(async () => notify(await withReferences(notification, references, repository, descriptor)));
      else if (reading) afterReading(async () => notify(notification));
      else notify(notification);
      for (const tag of event.untagged ?? []) {
        const one = notificationOf({ ...event, descriptor: undefined, tag }, source);
        if (one) notify(one);
      }
    },
    status: () => deliveries.map((delivery) => delivery.status()),
    close: async ({ drain = 0 } = {}) => {
      await reading;
      await Promise.all(deliveries.map((delivery) => delivery.close(drain)));
    },
  };
}

function startFor(
  endpoint: NotificationEndpoint,
  {
    directory,
    most,
    fetch = globalThis.fetch,
    onError,
  }: NotificationsOptions & { onError: (error: RegistryError) => void },
): Delivery {
  const { name } = endpoint;
  try {
    const queue =
      directory === undefined
        ? memoryQueue(most ?? 10_000)
        : diskQueue(join(resolve(directory), name), most ?? 1_000_000);
    return startDelivery(endpoint, queue, { fetch, onError });
  } catch (error) {
    throw asRegistryError(error, 'STORE_ERROR', `keep the notifications for "${name}"`);
  }
}

/** The notification of a manifest with what it refers to; without, if that cannot be read. */
async function withReferences(
  notification: Notification,
  registry: Registry,
  repository: Repository,
  descriptor: Descriptor,
): Promise<Notification> {
  try {
    const { body } = await registry(repository).fetch(descriptor);
    const bytes = await readAll(body, defaultManifestBytes, `manifest "${descriptor.digest}"`);
    const document = parseDocument(bytes, descriptor.mediaType);
    const references = 'manifests' in document ? document.manifests : [document.config, ...document.layers];
    return { ...notification, target: { ...notification.target, references } };
  } catch {
    return notification;
  }
}

function checkAll(options: NotificationsOptions): void {
  const attempted = 'notify of events';
  const { endpoints } = options;
  if (Array.isArray(endpoints)) for (const endpoint of endpoints) keepSecrets(endpoint);
  checkOptions(attempted, options, checks);
  if (endpoints === undefined) throw configError(attempted, [{ key: 'endpoints', found: 'it is missing' }]);
  const problems: ConfigProblem[] = endpoints.flatMap((endpoint, index) => {
    const path = ['endpoints', index];
    const missing = (['name', 'url'] as const).filter((key) => endpoint?.[key] === undefined);
    const isTwice = endpoints.findIndex(({ name }) => name === endpoint?.name) < index;
    return [
      ...optionProblems(endpoint, endpointChecks, path),
      ...missing.map((key) => ({ key: `endpoints[${index}].${key}`, found: 'it is missing' })),
      ...(isTwice ? [{ key: `endpoints[${index}].name`, found: 'another endpoint has this name' }] : []),
    ];
  });
  if (problems.length > 0) throw configError(attempted, problems);
}

/** No error, event or log shows them. */
function keepSecrets({ url: address, headers = {} }: Partial<NotificationEndpoint>): void {
  if (typeof address === 'string' && URL.canParse(address)) keepUrl(new URL(address));
  for (const [name, value] of Object.entries(headers)) for (const one of [value].flat()) keepHeader(name, String(one));
}
