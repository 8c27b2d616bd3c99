import { access } from 'node:fs/promises';
import { connect } from 'node:net';
import type { AppContext } from '../config/context.ts';
import type { AppSettings } from '../config/schema.ts';
import { errorText } from '../printable.ts';

/** What is wrong now, by the name of the check. */
export interface Health {
  failures(): Readonly<Record<string, string>>;
  close(): void;
}

/** One thing that is looked at from time to time. */
interface HealthCheck {
  readonly name: string;
  /** Milliseconds. */
  readonly interval: number;
  /** Failures in a row that count. */
  readonly threshold: number;
  run(signal: AbortSignal): Promise<void>;
}

const [defaultInterval, defaultThreshold, defaultTimeout] = [10_000, 3, 5_000];

/** Looks at what `health` names, and at the storage unless that is left out there. */
export function startHealth(context: AppContext, storage: (signal: AbortSignal) => Promise<void>): Health {
  const failures = new Map<string, string>();
  const timers = checksOf(context, storage).map((check) => watch(check, failures));
  return {
    failures: () => Object.fromEntries(failures),
    close: () => {
      for (const timer of timers) clearInterval(timer);
    },
  };
}

function watch(check: HealthCheck, failures: Map<string, string>): ReturnType<typeof setInterval> {
  let failed = 0;
  let isRunning = false;
  const look = async (): Promise<void> => {
    if (isRunning) return;
    isRunning = true;
    try {
      await check.run(AbortSignal.timeout(Math.max(check.interval, defaultTimeout)));
      failed = 0;
      failures.delete(check.name);
    } catch (error) {
      failed += 1;
      if (failed >= check.threshold) failures.set(check.name, errorText(error) ?? 'it failed');
    } finally {
      isRunning = false;
    }
  };
  void look();
  const timer = setInterval(look, check.interval);
  timer.unref();
  return timer;
}

type HealthSettings = NonNullable<AppSettings['health']>;

function checksOf({ file, pathOf }: AppContext, storage: (signal: AbortSignal) => Promise<void>): HealthCheck[] {
  const { health } = file.settings;
  const { storagedriver: driver, file: files = [], http = [], tcp = [] }: HealthSettings = health ?? {};
  const common = (one: { interval?: number | undefined; threshold?: number | undefined }) => ({
    interval: Math.max(10, one.interval ?? defaultInterval),
    threshold: one.threshold ?? defaultThreshold,
  });
  return [
    ...(driver?.enabled ? [{ name: 'storagedriver', ...common(driver), run: storage }] : []),
    // A file that exists takes the server out of service.
    ...files.map((one) => ({
      ...{ name: one.file, interval: one.interval ?? defaultInterval, threshold: 1 },
      run: () =>
        access(pathOf(one.file)).then(
          () => Promise.reject(new Error('file exists')),
          () => {},
        ),
    })),
    ...http.map((one) => ({ name: one.uri, ...common(one), run: (signal: AbortSignal) => askHttp(one, signal) })),
    ...tcp.map((one) => ({
      ...{ name: `${one.addr.host}:${one.addr.port}`, ...common(one) },
      run: () => askTcp(one.addr, one.timeout ?? defaultTimeout),
    })),
  ];
}

async function askHttp(
  { uri, headers = {}, statuscode = 200, timeout = defaultTimeout }: NonNullable<HealthSettings['http']>[number],
  signal: AbortSignal,
): Promise<void> {
  const all = new Headers();
  for (const [name, value] of Object.entries(headers)) for (const one of [value].flat()) all.append(name, one);
  const limits = AbortSignal.any([signal, AbortSignal.timeout(timeout)]);
  const response = await fetch(uri, { method: 'HEAD', headers: all, redirect: 'manual', signal: limits });
  await response.body?.cancel();
  if (response.status !== statuscode) throw new Error(`status ${response.status} instead of ${statuscode}`);
}

function askTcp({ host, port }: { readonly host: string; readonly port: number }, timeout: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout });
    const end = (error?: Error): void => {
      socket.destroy();
      if (error) reject(error);
      else resolve();
    };
    socket.once('connect', () => end()).once('error', end);
    socket.once('timeout', () => end(new Error(`no connection in ${timeout} ms`)));
  });
}
