import { type Descriptor, only, type Store } from 'ocifetch';
import { type Handler, type Listening, listen, serve, tokenAccess } from 'ocifetch/server';

export interface Registries {
  readonly origin: Listening;
  readonly mirror: Listening;
  /** From now on the mirror dies halfway through this blob, for good. */
  cutAt(blob: Descriptor): void;
  close(): Promise<void>;
}

/**
 * An origin without access control, and a mirror of it, which has everything below `hub/` and requires a token, as a
 * company's mirror does.
 */
export async function startRegistries(store: Store): Promise<Registries> {
  const origin = await listen(serve(() => store));
  const { protect, token } = tokenAccess({ realm: '/token', service: 'mirror' });
  const content = protect(
    serve(
      only(
        () => store,
        ({ name }) => name.startsWith('hub/'),
      ),
    ),
  );
  let cut: Descriptor | undefined;
  const handler: Handler = async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === '/token') return token(request);
    const response = await content(request);
    return cut && pathname.endsWith(cut.digest) && response.ok
      ? half(response, cut.size / 2, () => mirror.close())
      : response;
  };
  const mirror = await listen(handler);
  const close = async (): Promise<void> => {
    await Promise.all([origin.close(), mirror.close()]);
  };
  return {
    origin,
    mirror,
    cutAt: (blob) => {
      cut = blob;
    },
    close,
  };
}

/** A response whose server dies after the first `bytes`. */
function half(response: Response, bytes: number, die: () => Promise<void>): Response {
  let left = Math.floor(bytes);
  const cutting = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      controller.enqueue(chunk.subarray(0, Math.max(left, 0)));
      left -= chunk.length;
      // A moment later, so that the bytes before it are sent.
      if (left <= 0) setTimeout(() => void die(), 20);
    },
  });
  return new Response(response.body?.pipeThrough(cutting) ?? null, response);
}
