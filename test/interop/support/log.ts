import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

const marker = '/v2/end-of-log/';

/**
 * Reads a server's access log: each call returns the requests since the previous call, sorted. Servers write a line after
 * they sent the response, and not always in order. So each call sends a request of its own, waits for its line (at most 5
 * seconds), and then a moment longer for late lines.
 */
export function createLog(
  url: string,
  read: () => Promise<readonly string[]>,
  parse: (line: string) => string | undefined,
): () => Promise<string[]> {
  let seen = 0;
  let calls = 0;
  return async () => {
    const path = `${marker}${++calls}`;
    const [response] = (await once(get(`${url}${path}`, { agent: false }), 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    const deadline = Date.now() + 5000;
    while (!(await read()).some((line) => line.includes(`${path} `))) {
      if (Date.now() > deadline) throw new Error(`Cannot read the log of "${url}": "${path}" is not in it`);
      await wait(10);
    }
    await wait(100);
    const fresh = (await read()).slice(seen).filter((line) => line !== '');
    seen += fresh.length;
    return fresh
      .filter((line) => !line.includes(marker))
      .map(parse)
      .filter((request) => request !== undefined)
      .sort();
  };
}
