import { counted } from './io.ts';
import type { Transfer } from './transfer.ts';
import { formatBytes, formatDuration, formatRate } from './units.ts';

/** What a transfer came to: how long it took, what each host sent, and what was not asked for. */
export function summaryLines(transfer: Transfer, milliseconds: number): string[] {
  const items = [...transfer.items.values()];
  const received = [...transfer.hosts.values()].reduce((sum, bytes) => sum + bytes, 0);
  const rate = milliseconds > 0 && received > 0 ? ` (${formatRate((received / milliseconds) * 1000)})` : '';
  const present = items.filter(({ stage }) => stage === 'present').reduce((sum, { size }) => sum + size, 0);
  const resumed = items.filter(({ resumedAt }) => resumedAt > 0);
  const kept = resumed.reduce((sum, { resumedAt }) => sum + resumedAt, 0);
  const parts = [
    ...(present > 0 ? [`${formatBytes(present)} there already`] : []),
    ...(kept > 0 ? [`${formatBytes(kept)} of ${counted(resumed.length, 'content')} resumed`] : []),
  ];
  const switches = items.reduce((sum, item) => sum + item.switches, 0);
  const skipped = items.filter(({ stage }) => stage === 'skipped');
  const hosts = [...transfer.hosts].sort(([, a], [, b]) => b - a);
  const width = Math.max(0, ...hosts.map(([host]) => host.length));
  return [
    `  ${formatBytes(received)} in ${formatDuration(milliseconds)}${rate}, ${counted(transfer.requests, 'request')}`,
    ...hosts.map(([host, bytes]) => `    ${host.padEnd(width)}  ${formatBytes(bytes).padStart(8)}`),
    ...(parts.length > 0 ? [`  not downloaded: ${parts.join(', ')}`] : []),
    ...(switches > 0 ? [`  ${counted(switches, 'change')} of host`] : []),
    ...(transfer.retries > 0 ? [`  ${transfer.retries === 1 ? '1 retry' : `${transfer.retries} retries`}`] : []),
    ...(skipped.length > 0 ? [`  ${counted(skipped.length, 'layer')} left out: not distributable`] : []),
  ];
}
