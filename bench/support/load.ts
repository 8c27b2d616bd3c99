// Load for a server: wrk, if this machine has it, otherwise keep-alive requests of node:http from this process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { programPath } from './programs.ts';

export interface Load {
  readonly connections: number;
  readonly seconds: number;
  /** Default: anything. Of a manifest distribution wants it. */
  readonly accept?: string;
}

/** What came back. */
export interface Loaded {
  readonly requests: number;
  /** Of all bodies. */
  readonly bytes: number;
  readonly seconds: number;
}

/** Requests `url` again and again; fails if a response is not 200. `size`: bytes of the body. */
export async function load(url: string, size: number, how: Load): Promise<Loaded> {
  // wrk takes whole seconds.
  const wrk = Number.isInteger(how.seconds) ? programPath('wrk') : undefined;
  return wrk ? loadByWrk(wrk, url, size, how) : loadByNode(url, size, how);
}

async function loadByWrk(
  wrk: string,
  url: string,
  size: number,
  { connections, seconds, accept = '*/*' }: Load,
): Promise<Loaded> {
  const args = ['-H', `Accept: ${accept}`, '-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '60s', url];
  const child = spawn(wrk, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await once(child, 'close');
  if (/Non-2xx|Socket errors/.test(text)) throw new Error(`wrk ${url}: ${text}`);
  const [, requests = '0', time = '0'] = /(\d+) requests in ([\d.]+)s/.exec(text) ?? [];
  const [, rate = '0', unit = 'B'] = /Transfer\/sec:\s+([\d.]+)(\w?B)/.exec(text) ?? [];
  const scale = { B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 }[unit] ?? 1;
  // Of small bodies by their number, as wrk also counts the heads; of large ones also those that are under way at the end.
  const bytes = size < 1e6 ? Number(requests) * size : Number(rate) * scale * Number(time);
  return { requests: Number(requests), bytes, seconds: Number(time) };
}

async function loadByNode(url: string, size: number, { connections, seconds, accept = '*/*' }: Load): Promise<Loaded> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const started = performance.now();
  let requests = 0;
  const one = async (): Promise<void> => {
    while (performance.now() - started < seconds * 1000) {
      const [response] = await once(get(url, { agent, headers: { accept } }), 'response');
      if (response.statusCode !== 200) throw new Error(`${url}: ${response.statusCode}`);
      await once(response.resume(), 'end');
      requests += 1;
    }
  };
  await Promise.all(Array.from({ length: connections }, one));
  agent.destroy();
  return { requests, bytes: requests * size, seconds: (performance.now() - started) / 1000 };
}
