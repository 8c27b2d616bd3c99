import type { Descriptor } from '../../oci/descriptor.ts';
import type { Repository } from '../../oci/reference.ts';
import type { CallOptions, UploadLimits } from '../../source.ts';
import type { Connection, ServerAction } from './exchange.ts';
import type { ProblemRules } from './problem.ts';

/** What a server offers, its limits, and its name. */
export interface ServeOptions extends Omit<UploadLimits, keyof CallOptions>, ProblemRules {
  /** `Repository.registry`. Default `localhost`; never the Host of a request, because its sender chooses that. */
  readonly registry?: string;
  /**
   * Registries that a request may name in its `ns` parameter, as clients of a mirror do. By default `ns` is ignored: it could
   * direct a registry that sends requests of its own to any host.
   */
  readonly namespaces?: readonly string[] | ((registry: string) => boolean);
  /**
   * Also sends content that a layout has through a link, symbolic or hard, wherever it leads. Default: that content does
   * not exist.
   */
  readonly links?: boolean;
  /** Most bytes of a pushed manifest. Default 4 MiB. */
  readonly manifestBytes?: number;
  /**
   * A mount that names no repository looks for the blob in all that the registry lists. Default: in none, as not everyone who
   * may push may read them all.
   */
  readonly mountsFromAny?: boolean;
  /** False: a POST with a digest begins an upload, as if it had none. */
  readonly singlePost?: boolean;
  /** Most names in one page of a list; a request for more is 400 `UNSUPPORTED`. Default: no limit. */
  readonly mostListed?: number;
  /** False: `n` and `last` of a list are ignored. */
  readonly pages?: boolean;
  /** False: a page of a list has no `Link` to the next one. */
  readonly nextLinks?: boolean;
  /** False: nothing can be deleted: `UNSUPPORTED`. */
  readonly deletes?: boolean;
  /** False: there is no referrers API, so requests for it are 404. */
  readonly referrers?: boolean;
  /** False: `artifactType` of a request for referrers is ignored. */
  readonly referrersFilter?: boolean;
  /** False: the response to GET of a manifest by tag does not have its digest; that to HEAD has. */
  readonly tagDigests?: boolean;
  /**
   * URLs at which content is, too. GET of a blob is redirected to the first one, with 307, and what was pushed is said to be
   * there. Default: what the repository says, if it can. A failure is an error of the request.
   */
  readonly locate?: (
    target: Descriptor,
    repository: Repository,
    from: Asking,
  ) => readonly string[] | Promise<readonly string[]>;
  /** The URL at which an upload continues, perhaps of another server; undefined for a path of this one. */
  readonly uploadUrl?: (id: string, repository: Repository) => string | undefined;
  /** Called once for each response, when its body has been sent or has failed. What it throws or rejects with is ignored. */
  readonly onEvent?: (event: ServerEvent) => unknown;
  /** Called with errors that become status 500: the client sees no details of them. */
  readonly onError?: (error: unknown, request: Request) => void;
}

/** Who requests something. */
export interface Asking {
  readonly request: Request;
  /** Undefined if the handler was not called with it. */
  readonly connection?: Connection | undefined;
}

/** One response, for logs, metrics and notifications. */
export interface ServerEvent {
  readonly request: Request;
  /** How it came; undefined if the handler was not called with it. */
  readonly connection?: Connection | undefined;
  readonly action: ServerAction;
  /** Undefined for a path that is not of a repository. */
  readonly repository?: Repository | undefined;
  readonly descriptor?: Descriptor | undefined;
  /** The tag that was requested, pushed or deleted. */
  readonly tag?: string | undefined;
  /** Name of the repository that a blob was mounted from. */
  readonly from?: string | undefined;
  /** Tags that were removed with their manifest, sorted. */
  readonly untagged?: readonly string[] | undefined;
  /** Name of the user, as the access check has it. */
  readonly actor?: string | undefined;
  readonly status: number;
  /** Bytes of the body that were sent. */
  readonly bytes: number;
  /** Milliseconds from the request to the end of the response. */
  readonly duration: number;
  /** Why the response is an error, or was broken off. */
  readonly error?: unknown;
}
