import { type Body, type Config, type Endpoint, undiciTransport } from '../index.ts';
import { failed } from './failed-step.ts';
import { oneLine } from './io.ts';
import type { Step } from './probes.ts';

interface ApiExamination {
  readonly config: Config;
  /** Milliseconds. */
  readonly timeout: number;
}

/** `GET /v2/`, without a login: 200 and 401 are what a registry answers. */
export async function askApi(
  endpoint: Endpoint,
  { config, timeout }: ApiExamination,
): Promise<{ step: Step; skew?: number | undefined }> {
  const { proxy } = config;
  const transport = undiciTransport({ timeouts: { connect: timeout, headers: timeout }, proxy });
  const started = performance.now();
  const took = (): number => performance.now() - started;
  try {
    const headers = { ...endpoint.headers, 'user-agent': 'ocifetch' };
    const response = await transport({ method: 'GET', url: `${endpoint.url}/`, headers, tls: endpoint.tls });
    const { status } = response;
    const said = status >= 400 && status !== 401 ? await saidBy(response.body) : '';
    await response.body.cancel();
    const type = response.headers['content-type'] ?? '';
    const retryAfter = response.headers['retry-after']?.slice(0, 40);
    const isPage = /\bhtml\b/i.test(type);
    const date = Date.parse(response.headers.date ?? '');
    return {
      step: {
        name: 'api',
        ok: !isPage && (status === 200 || status === 401),
        duration: took(),
        found: isPage ? `${status}, a web page` : [status, said].filter((part) => part !== '').join(', '),
        status,
        ...(retryAfter !== undefined && { retryAfter }),
        ...(isPage && { code: 'WEB_PAGE' }),
      },
      ...(!Number.isNaN(date) && { skew: Math.round((Date.now() - date) / 1000) }),
    };
  } catch (error) {
    return { step: failed('api', error, took()) };
  } finally {
    await transport.close();
  }
}

/** Most bytes of an error's body that are read. */
const mostBytes = 65_536;

/** What a bad status says in the form of the distribution-spec, `{"errors":[{"code":…,"message":…}]}`; empty where nothing. */
async function saidBy(body: Body): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      size += chunk.length;
      if (size > mostBytes) return '';
      chunks.push(chunk);
    }
    const { errors } = JSON.parse(Buffer.concat(chunks).toString()) as { errors?: unknown };
    const [first] = Array.isArray(errors) ? errors : [];
    const { code, message } = (first ?? {}) as Record<string, unknown>;
    if (typeof code !== 'string' || !/^[\w-]{1,64}$/.test(code)) return '';
    const words = typeof message === 'string' ? oneLine(message).replaceAll('"', ' ').slice(0, 200) : '';
    return words === '' ? code : `${code} "${words}"`;
  } catch {
    return '';
  }
}
