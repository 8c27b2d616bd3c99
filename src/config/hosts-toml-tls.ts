import type { Found } from './decoders.ts';
import { below } from './host-parts.ts';
import type { TlsConfig } from './model.ts';
import { type Reading, spotsOf } from './reading.ts';

type Text = Found<string>;

/** What a host says of TLS: files, and pairs of files. */
interface TlsTable {
  readonly ca?: Found<readonly Text[]>;
  readonly client?: Found<readonly Found<readonly Text[]>[]>;
  readonly skip_verify?: Found<boolean>;
}

/** The TLS settings of a host; paths are relative to a directory. */
export function readTls(
  { ca, client, skip_verify }: TlsTable,
  directory: string,
  reading: Reading,
): TlsConfig | undefined {
  const [first, ...others] = client?.value ?? [];
  for (const pair of [first, ...others]) {
    if (pair && (pair.value.length === 0 || pair.value.length > 2))
      reading.problem(pair, 'expected a file or a pair of files');
  }
  if (client && others.length > 0) reading.warn(client, 'only the first client certificate is used');
  const [cert, key] = first?.value ?? [];
  const tls = {
    ...(ca && ca.value.length > 0 && { ca: ca.value.map(({ value }) => below(directory, value)) }),
    // One file may hold both.
    ...(cert && { cert: below(directory, cert.value), key: below(directory, key?.value || cert.value) }),
    ...(skip_verify?.value && { insecureSkipVerify: true }),
  };
  const declaredAt = spotsOf(
    {
      ...Object.fromEntries((ca?.value ?? []).map((found, index) => [`ca[${index}]`, found])),
      cert,
      key: key?.value ? key : cert,
      insecureSkipVerify: skip_verify?.value ? skip_verify : undefined,
    },
    reading,
  );
  return Object.keys(tls).length > 0 ? { ...tls, declaredAt } : undefined;
}
