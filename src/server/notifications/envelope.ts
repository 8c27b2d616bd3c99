import type { Descriptor } from '../../oci/descriptor.ts';
import type { ServerEvent } from '../registry/serve-options.ts';

/** The media type of an envelope, by its version: distribution sends 1 up to 2.8, and 2 from 3.0 on. The documents are the same. */
export const envelopeTypes = {
  1: 'application/vnd.docker.distribution.events.v1+json',
  2: 'application/vnd.docker.distribution.events.v2+json',
} as const;

/** What happened, as the receivers of distribution's notifications read it. */
export interface Notification {
  readonly id: string;
  /** RFC 3339 */
  readonly timestamp: string;
  readonly action: NotifiedAction;
  readonly target: {
    readonly mediaType?: string;
    readonly digest?: string;
    readonly size?: number;
    /** As `size`. */
    readonly length?: number;
    readonly repository: string;
    readonly fromRepository?: string;
    readonly url?: string;
    readonly tag?: string;
    readonly references?: readonly Descriptor[];
  };
  readonly request: {
    readonly id: string;
    readonly addr?: string;
    readonly host: string;
    readonly method: string;
    readonly useragent: string;
  };
  readonly actor: { readonly name?: string };
  readonly source: { readonly addr: string; readonly instanceID: string };
}

export type NotifiedAction = 'pull' | 'push' | 'mount' | 'delete';

/** What every notification of a server has. */
export interface NotificationSource {
  /** Host name and port of the server. */
  readonly addr: string;
  /** Another one for each start. */
  readonly instanceID: string;
  /** What URLs begin with: `https://registry.example`. Default: as the request came. */
  readonly baseUrl?: string | undefined;
}

const notified: ReadonlySet<string> = new Set<NotifiedAction>(['pull', 'push', 'mount', 'delete']);

/**
 * The notification of a response; undefined for one that nobody is notified of: a failure, a response without content (304), an
 * upload that is not complete, a list.
 */
export function notificationOf(event: ServerEvent, source: NotificationSource): Notification | undefined {
  const { action, repository, request, status, actor, connection } = event;
  if (!isNotified(action) || !repository || status < 200 || (status >= 300 && status !== 307)) return undefined;
  if (event.error !== undefined) return undefined;
  const { host, origin } = new URL(request.url);
  const address = connection?.remoteAddress;
  return {
    id: crypto.randomUUID(),
    timestamp: new Date().toISOString(),
    action,
    target: targetOf(event, source.baseUrl ?? origin),
    request: {
      id: request.headers.get('x-request-id') ?? crypto.randomUUID(),
      ...(address !== undefined && { addr: address }),
      host: request.headers.get('host') ?? host,
      method: request.method,
      useragent: request.headers.get('user-agent') ?? '',
    },
    actor: actor === undefined ? {} : { name: actor },
    source: { addr: source.addr, instanceID: source.instanceID },
  };
}

const isNotified = (action: string): action is NotifiedAction => notified.has(action);

function targetOf(event: ServerEvent, base: string): Notification['target'] {
  const { action, descriptor, repository, tag, from, request } = event;
  const name = repository?.name ?? '';
  if (action === 'delete')
    return {
      repository: name,
      ...(descriptor && { digest: descriptor.digest }),
      ...(tag !== undefined && { tag }),
    };
  const kind = new URL(request.url).pathname.includes('/manifests/') ? 'manifests' : 'blobs';
  return {
    ...(descriptor && {
      mediaType: descriptor.mediaType,
      digest: descriptor.digest,
      size: descriptor.size,
      length: descriptor.size,
      url: `${base}/v2/${name}/${kind}/${descriptor.digest}`,
    }),
    repository: name,
    ...(from !== undefined && { fromRepository: from }),
    ...(tag !== undefined && { tag }),
  };
}

/** The body of the request that delivers a notification, indented as distribution's is. */
export const envelopeOf = (notification: string): string =>
  `${JSON.stringify({ events: [JSON.parse(notification)] }, undefined, 3)}\n`;
