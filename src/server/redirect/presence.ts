import { deadline } from '../../abort.ts';
import { discard } from '../../body.ts';
import { remember } from '../../bounded-map.ts';
import { guard } from '../../http/address.ts';
import { limits } from '../../http/limits.ts';
import { redirects } from '../../http/redirects.ts';
import { socketTransport } from '../../http/socket/socket-transport.ts';
import { type Transport, type Wrapper, wrap } from '../../http/transport.ts';

/** How it is checked whether content is at a URL. */
export interface PresenceOptions {
  /** Milliseconds, redirects and the wait for other checks included, after which content counts as absent. Default 5,000. */
  readonly checkTimeout?: number | undefined;
  /** URLs with content that are remembered; the one that was used longest ago is forgotten first. Default 100,000. */
  readonly remembered?: number | undefined;
  /** Sends the checks. Default: connections of its own. */
  readonly transport?: Transport | undefined;
}

/** Whether content is at a URL. Never fails: an error is absence. */
export type Presence = (url: string) => Promise<boolean>;

/** Concurrent checks of one origin. */
const concurrency = 64;

/**
 * Checks by HEAD, with redirects followed, whether content is at a URL; only 200 says so, and is remembered. Absence never is,
 * so that content is found as soon as it is there. Concurrent checks of one URL are one request.
 */
export function createPresence({ checkTimeout = 5_000, remembered = 100_000, transport }: PresenceOptions): Presence {
  const send = wrap(transport ?? socketTransport(), redirects(), limits({ concurrency }), guard(), plain);
  const present = new Map<string, true>();
  const running = new Map<string, Promise<boolean>>();
  const check = async (url: string): Promise<boolean> => {
    const limit = deadline();
    limit.limit(checkTimeout, `check "${url}"`);
    try {
      // A bucket may be in a private network, and refer to it; a public one may not.
      const request = { method: 'HEAD', url, headers, addresses: 'private', signal: limit.signal } as const;
      const { status, body } = await send(request);
      await discard(body);
      if (status === 200) remember(present, url, true, remembered);
      return status === 200;
    } catch {
      return false;
    } finally {
      limit.end();
      running.delete(url);
    }
  };
  return async (url) => {
    if (present.has(url)) {
      remember(present, url, true, remembered);
      return true;
    }
    const shared = running.get(url) ?? check(url);
    running.set(url, shared);
    return shared;
  };
}

const headers = { 'user-agent': 'ocifetch' };

/** What a proxy has changed on its way (203) is not what was stored; `redirects` reads it as 200. */
const plain: Wrapper = (next) => async (request) => {
  const response = await next(request);
  return response.status === 203 ? { ...response, status: 404 } : response;
};
