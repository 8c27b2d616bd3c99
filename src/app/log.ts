import type { ServerEvent } from '../server/index.ts';
import { bytesText, errorText, pathOf, printable, userAgentOf } from './printable.ts';

/** Lines for people, or JSON for programs. */
export type LogFormat = 'text' | 'json';

/** A response of the server, and where its request came from. */
export interface ServedEvent extends ServerEvent {
  readonly address?: string | undefined;
}

/** One line about a response, without secrets and without characters that a terminal acts on. */
export const logLine = (event: ServedEvent, format: LogFormat, now: Date = new Date()): string =>
  format === 'json' ? JSON.stringify(factsOf(event, now)) : textOf(event, now);

function factsOf(event: ServedEvent, now: Date): Readonly<Record<string, unknown>> {
  const { request, action, repository, descriptor, tag, from, actor, status, bytes, duration, address, error } = event;
  const found = errorText(error);
  return {
    time: now.toISOString(),
    address,
    method: request.method,
    path: pathOf(request),
    status,
    bytes,
    milliseconds: Math.round(duration * 10) / 10,
    ...(action !== 'none' && { action }),
    repository: repository?.name,
    registry: repository && repository.registry !== 'localhost' ? printable(repository.registry) : undefined,
    tag,
    digest: descriptor?.digest,
    from: from === undefined ? undefined : printable(from),
    user: actor === undefined ? undefined : printable(actor),
    userAgent: userAgentOf(request),
    ...(found !== undefined && { error: { code: codeOf(error), message: found } }),
  };
}

/** The code of a RegistryError, or of an error of the system. */
const codeOf = (error: unknown): unknown => (error as { readonly code?: unknown } | undefined)?.code;

function textOf(event: ServedEvent, now: Date): string {
  const { request, actor, status, bytes, duration, address, error } = event;
  const agent = userAgentOf(request)?.replaceAll('"', "'");
  const found = errorText(error);
  return [
    now.toISOString(),
    address ?? '-',
    actor === undefined ? '-' : printable(actor).replaceAll(' ', '_'),
    request.method,
    pathOf(request),
    status,
    `${bytesText(bytes)} ${Math.round(duration)} ms`,
    ...(agent === undefined ? [] : [`"${agent}"`]),
    ...(found === undefined ? [] : [`error: ${found}`]),
  ].join(' ');
}
