import type { AppSettings } from '../config/schema.ts';
import type { ServedEvent } from '../log.ts';
import { errorText, pathOf, printable, userAgentOf } from '../printable.ts';

/** How serious a line is, most serious first. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace';

const levels: readonly LogLevel[] = ['error', 'warn', 'info', 'debug', 'trace'];

/** The log of an app: lines in the form and with the fields of the file. */
export interface AppLog {
  response(event: ServedEvent): void;
  line(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Writes with the field names of distribution: `vars.name`, `http.request.id` … */
export function createLog(settings: AppSettings['log'], write: (line: string) => void): AppLog {
  const { level = 'info', formatter = 'text', fields: fixed = {} } = settings ?? {};
  const most = levels.indexOf(level);
  const line: AppLog['line'] = (of, message, fields = {}) => {
    if (levels.indexOf(of) > most) return;
    const all = { ...fixed, ...fields };
    write(formatters[formatter](of, printable(message, 1_000), all));
  };
  return {
    line,
    response: (event) => {
      const found = errorText(event.error);
      const failed = event.status >= 500 || (found !== undefined && event.status < 400);
      const message = `response completed${found === undefined ? '' : ' with error'}`;
      line(failed ? 'error' : 'info', message, { ...fieldsOf(event), ...(found && errorFields(event.error, found)) });
    },
  };
}

function fieldsOf(event: ServedEvent): Readonly<Record<string, unknown>> {
  const { request, repository, descriptor, tag, status, bytes, duration, address, actor } = event;
  const { host } = new URL(request.url);
  const named = /\/(?:manifests|blobs|referrers)\/([^/?]+)$/.exec(new URL(request.url).pathname)?.[1];
  const isManifest = new URL(request.url).pathname.includes('/manifests/');
  return {
    'http.request.host': printable(request.headers.get('host') ?? host),
    'http.request.id': printable(request.headers.get('x-request-id') ?? ''),
    'http.request.method': request.method,
    'http.request.remoteaddr': address,
    'http.request.uri': pathOf(request),
    'http.request.useragent': userAgentOf(request),
    'http.response.duration': `${Math.round(duration * 1_000) / 1_000}ms`,
    'http.response.status': status,
    'http.response.written': bytes,
    ...(repository && { 'vars.name': printable(repository.name) }),
    ...(named !== undefined && isManifest && { 'vars.reference': printable(tag ?? named) }),
    ...(named !== undefined && !isManifest && { 'vars.digest': printable(descriptor?.digest ?? named) }),
    ...(actor !== undefined && { 'auth.user.name': printable(actor) }),
  };
}

const errorFields = (error: unknown, message: string): Readonly<Record<string, unknown>> => ({
  'err.code': (error as { readonly code?: unknown }).code,
  'err.message': message,
});

type Formatter = (level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>) => string;

const present = (fields: Readonly<Record<string, unknown>>): [string, unknown][] =>
  Object.entries(fields).filter(([, value]) => value !== undefined && value !== '');

const formatters: Readonly<Record<'text' | 'json' | 'logstash', Formatter>> = {
  text: (level, msg, fields) =>
    [
      ['time', new Date().toISOString()],
      ['level', level === 'warn' ? 'warning' : level],
      ['msg', msg],
      ...present(fields),
    ]
      .map(([key, value]) => `${key}=${/^[\w.:/@+-]+$/.test(String(value)) ? value : JSON.stringify(String(value))}`)
      .join(' '),
  json: (level, msg, fields) =>
    JSON.stringify({ ...Object.fromEntries(present(fields)), level, msg, time: new Date().toISOString() }),
  logstash: (level, message, fields) =>
    JSON.stringify({
      '@timestamp': new Date().toISOString(),
      '@version': '1',
      ...Object.fromEntries(present(fields)),
      ...{ level, message, type: 'registry' },
    }),
};
