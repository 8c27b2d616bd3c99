import { type ClientRequest, request as httpRequest } from 'node:http';
import type { Registry, Store } from '../../src/source.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { fill } from '../contract/store.ts';

export const origin = 'http://registry.test';

/** A registry of stores in memory, each made when first asked for; `library/app` holds the samples. */
export async function filledRegistry(): Promise<{ registry: Registry; store: (name: string) => Store }> {
  const stores = new Map<string, Store>();
  const store = (name: string): Store => {
    const found = stores.get(name) ?? memoryStore();
    stores.set(name, found);
    return found;
  };
  await fill(store('library/app'));
  return { registry: ({ name }) => store(name), store };
}

/** `GET /v2/…`, with headers or a body where they are given. */
export function ask(line: string, init: RequestInit = {}): Request {
  const [method = 'GET', path = '/'] = line.split(' ');
  return new Request(new URL(path, origin), { ...init, method });
}

/** Status and codes of an error's body: `404 BLOB_UNKNOWN`. */
export async function problemOf(response: Response): Promise<string> {
  const { errors } = (await response.json()) as { errors: { code: string; message: string }[] };
  return [response.status, ...errors.map(({ code }) => code)].join(' ');
}

/** What a token endpoint gives. */
export interface TokenAnswer {
  readonly token: string;
  readonly access_token: string;
  readonly expires_in: number;
  readonly issued_at: string;
  readonly scope: string;
  readonly refresh_token?: string;
}

/** The header of a login, of `name:password`. */
export const basicLogin = (text: string): { readonly authorization: string } => ({
  authorization: `Basic ${Buffer.from(text).toString('base64')}`,
});

export const bytesOf = async (response: Response): Promise<Uint8Array> => new Uint8Array(await response.arrayBuffer());

/** An upload to a server that does not read it, of as many megabytes as it can be given, at most 200; and how many they are. */
export async function overfilled(url: string): Promise<{ readonly request: ClientRequest; readonly written: number }> {
  const request = httpRequest(url, { method: 'PUT', agent: false });
  request.on('error', () => undefined);
  let written = 0;
  const chunk = new Uint8Array(1_000_000);
  while (written < 200 && request.write(chunk)) written += 1;
  await new Promise((resolve) => setTimeout(resolve, 100));
  return { request, written };
}

/** An upload that breaks off after some of its bytes. */
export function brokenOff(url: string): void {
  const request = httpRequest(url, { method: 'PUT', agent: false, headers: { 'content-length': '10' } });
  request.on('error', () => undefined);
  request.write('half', () => setTimeout(() => request.destroy(), 20));
}
