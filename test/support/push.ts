import { type Descriptor, digestOf, type Store } from 'ocifetch';

/** Pushes bytes in one chunk, and returns their descriptor. */
export async function pushBytes(store: Store, bytes: Uint8Array, mediaType: string): Promise<Descriptor> {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  await store.push(
    descriptor,
    (async function* () {
      yield bytes;
    })(),
  );
  return descriptor;
}

export function pushJson(store: Store, document: object, mediaType: string): Promise<Descriptor> {
  return pushBytes(store, new TextEncoder().encode(JSON.stringify(document)), mediaType);
}
