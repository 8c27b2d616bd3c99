/** Limits of time of a client, in milliseconds. Its options and configuration files have them under the same names. */
export interface ClientTimeouts {
  /** To connect, TLS included. Default 10,000, or 3,000 if another host is left. */
  readonly connect?: number | undefined;
  /** From sending the request to the end of the response's head. Default 30,000, or 10,000 if another host is left. */
  readonly headers?: number | undefined;
  /** Without a byte of the body, counted while a reader waits for it. Default 30,000. */
  readonly idle?: number | undefined;
  /**
   * Bytes per second of a body, as sent, over each `idle` milliseconds in which a reader waited for it. A slower one breaks
   * with `TIMEOUT`, if another host is left that has not failed; that host continues. Default 4,096; 0 for none.
   */
  readonly minimumSpeed?: number | undefined;
  /**
   * Without the head of a response, after which the next host is requested, too, and the first good response counts: this, or
   * three times what the host took before, if that is more. Default 300; 0: never.
   */
  readonly hedge?: number | undefined;
  /**
   * Over which a body is compared with what other hosts bring, counted while a reader waits for it: below a tenth of that, or
   * without a byte, it breaks with `TIMEOUT` if a host is left that has not failed, which continues. Default 5,000; 0: never.
   */
  readonly crawl?: number | undefined;
  /** For a `resolve`, a `fetchByDigest`, or reading a content once. Unlimited by default. */
  readonly operation?: number | undefined;
  /** The longest `Retry-After` that is waited for. Default 60,000. */
  readonly retryAfter?: number | undefined;
  /** How long a request waits while nobody reads the bodies of the exchanges that `limits.concurrency` allows. Default 60,000. */
  readonly unread?: number | undefined;
  /** How long a host that failed is skipped. Default 30,000. */
  readonly pause?: number | undefined;
}

/** How often a client tries a host. */
export interface ClientRetries {
  /**
   * Most requests to one host for the same content if no other host is left. Default: 3, and further ones for ten
   * seconds to a host that has served before.
   */
  readonly tries?: number | undefined;
  /**
   * Milliseconds before the second request; doubles each time. Also before a body that broke without bringing much
   * is requested again. Default 200.
   */
  readonly backoff?: number | undefined;
}

/** Limits of sizes and numbers of a client. */
export interface ClientLimits {
  /** Default 4 MiB. */
  readonly manifestBytes?: number | undefined;
  /** Of a token response. Default 1 MiB. */
  readonly tokenBytes?: number | undefined;
  /** Default 10. */
  readonly redirects?: number | undefined;
  /** Pages of a list. Default 1,000. */
  readonly pages?: number | undefined;
  /** Bytes of a list, all pages together. Default 16 MiB, some hundred thousand tags. */
  readonly listBytes?: number | undefined;
  /** Exchanges with one origin at a time. Default 8, and 64 for contents of up to 1 MiB in a copy. */
  readonly concurrency?: number | undefined;
  /** Content of 8 MiB or more over up to 12 connections, and from several mirrors. Default `auto`: if that is measurably faster. */
  readonly split?: 'auto' | 'always' | 'never' | undefined;
  /** Bytes dropped to reach a range at a host without range support. Default 16 MiB. */
  readonly discardBytes?: number | undefined;
  /** Entries of the layers of an image whose files are listed or opened. Default 1,000,000. */
  readonly imageEntries?: number | undefined;
  /** Memory for their names, estimated, in bytes. Default 160 MiB, enough for as many entries of honest images. */
  readonly imageTreeBytes?: number | undefined;
}
