import { abortError, deadline } from '../abort.ts';
import { bytesBody } from '../body.ts';
import { type Try, untilRight } from '../content/again.ts';
import { withAttempt } from '../content/attempt.ts';
import { asRegistryError, type RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isResumable } from '../source.ts';
import { openReading } from './reading.ts';
import { findStored, ownData, tell, type Work } from './work.ts';

/** Copies one content, unless the store has it. Bytes that the store finds wrong are read again from another host. */
export async function copyBlob(descriptor: Descriptor, work: Work): Promise<void> {
  if (await findStored(work, descriptor)) {
    work.tally.present += descriptor.size;
    tell(work, descriptor, 'present', descriptor.size);
    return;
  }
  const atHand = ownData(descriptor) ?? work.held.get(descriptor.digest);
  if (atHand) {
    await pushBytes(descriptor, atHand, work);
    return;
  }
  const fault: Fault = {};
  await untilRight(descriptor, (one) => pushRead(descriptor, work, { one, fault })).catch((error: unknown) => {
    throw fault.store ?? error;
  });
}

/** Stores bytes that are known to be right. */
export async function pushBytes(descriptor: Descriptor, bytes: Uint8Array, { to, ...work }: Work): Promise<void> {
  try {
    await to.push(descriptor, bytesBody(bytes), { signal: work.signal });
  } catch (thrown) {
    throw storeError(descriptor, thrown);
  }
  tell(work, descriptor, 'stored', descriptor.size);
}

/** What ends a copy whatever hosts are left: the store's own failure. */
interface Fault {
  store?: RegistryError;
}

/** A reading, as it goes. */
interface Progress {
  readonly one: Try;
  readonly fault: Fault;
}

async function pushRead(descriptor: Descriptor, work: Work, { one, fault }: Progress): Promise<void> {
  const { to, signal, tally, emit } = work;
  const { digest, size } = descriptor;
  const limit = deadline(signal);
  const reading = openReading(descriptor, work, { one, limit });
  try {
    if (isResumable(to)) {
      const onWait = (): void => tell(work, descriptor, 'waiting');
      await to.pushFrom(descriptor, reading.open, { signal, onWait });
    } else await to.push(descriptor, reading.open(0), { signal });
  } catch (thrown) {
    reading.stop();
    const { failed, asked } = reading.state;
    if (failed) throw failed.error;
    if (signal.aborted) throw abortError(signal.reason);
    const error = storeError(descriptor, thrown);
    if (error.code === 'DIGEST_MISMATCH' && asked && one.end === size) {
      work.liars.remember(digest, one.served);
      throw withAttempt(error, asked, size);
    }
    fault.store = error;
    throw error;
  } finally {
    limit.end();
  }
  const { begunAt } = reading.state;
  tally.present += begunAt ?? size;
  if (begunAt !== undefined) emit({ type: 'verified', digest, size, from: [...one.served].at(-1) ?? '' });
  tell(work, descriptor, begunAt === undefined ? 'present' : 'stored', size);
}

const storeError = ({ digest }: Descriptor, thrown: unknown): RegistryError =>
  asRegistryError(thrown, 'STORE_ERROR', `store "${digest}"`);
