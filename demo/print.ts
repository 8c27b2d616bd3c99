import type { ClientEvent, Content, Plan } from 'ocifetch';

/** A plan as a table: a line for each host, in the order in which they are contacted. */
export function printPlan({ endpoints, skipped }: Plan): void {
  const rows = endpoints.map(({ url, repository, rewrite, scopes, namespace, credentials }, index) => [
    String(index + 1),
    url,
    rewrite ? `${rewrite.from} → ${repository}` : repository,
    rewrite ? `${rewrite.pattern} → ${rewrite.replacement}` : '–',
    scopes.join(' '),
    namespace ?? '–',
    credentials ?? 'anonymous',
  ]);
  const head = ['#', 'API root', 'repository', 'rule', 'scope', 'ns', 'credentials'];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of [head, widths.map((width) => '─'.repeat(width)), ...rows]) {
    console.log(`  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd());
  }
  for (const { url, reason } of skipped) console.log(`  left out: ${url}: ${reason}`);
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`;

/** One line that is updated on a terminal; only its final state if the output is a file. */
export function printProgress({ descriptor, position, size, source, verified }: Content, last = false): void {
  const { digest, mediaType } = descriptor;
  const kind = mediaType.includes('layer') ? 'layer ' : 'config';
  const line = `${kind} ${digest.slice(7, 19)}  ${megabytes(position)} of ${megabytes(size)}  ${source}`;
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${line}`);
  if (!last) return;
  const end = verified ? '  ✔ verified' : '  ✘ not verified';
  process.stdout.write(process.stdout.isTTY ? `${end}\n` : `${line}${end}\n`);
}

/** A line for the events worth showing; the others are counted at the end. */
export function describeEvent(event: ClientEvent): string | undefined {
  const start = process.stdout.isTTY ? '\n' : '';
  if (event.type === 'switch') {
    return `${start}  ↷ ${event.from} broke off after ${event.offset} bytes; ${event.to} continues from there`;
  }
  return event.type === 'warning' ? `${start}  ! ${event.text}` : undefined;
}

/** The number of requests to each host, and the bytes it sent. */
export function printSummary(events: readonly ClientEvent[]): void {
  const hosts = new Map<string, { requests: number; bytes: number }>();
  for (const event of events) {
    if (event.type !== 'request') continue;
    const { origin } = new URL(event.url);
    const { requests, bytes } = hosts.get(origin) ?? { requests: 0, bytes: 0 };
    hosts.set(origin, { requests: requests + 1, bytes: bytes + event.bytes });
  }
  console.log('\nrequests and bytes by host:');
  for (const [origin, { requests, bytes }] of hosts)
    console.log(`  ${origin}  ${requests} requests  ${megabytes(bytes)}`);
}
