import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { load } from '../../load.ts';

/** bcrypt in a thread of its own. */
export interface Bcrypt {
  /** Whether a password is that of a hash. Calls wait for each other. */
  compare(password: string, hash: string): Promise<boolean>;
  hash(password: string, cost: number): Promise<string>;
  close(): Promise<void>;
}

/**
 * One comparison of cost 10 keeps a thread busy for about 100 ms, and bcryptjs gives the event loop a turn only after as long:
 * five at a time hold up every other request for half a second. `eval`, as a bundle has no file for a thread.
 */
const program = `
const { parentPort, workerData } = require('node:worker_threads');
const bcrypt = require(workerData);
parentPort.on('message', ([method, ...values]) => parentPort.postMessage(bcrypt[method](...values)));
`;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** `UNSUPPORTED` if bcryptjs is not installed. The thread starts with the first call, and keeps no process alive. */
export async function createBcrypt(): Promise<Bcrypt> {
  const location = await load(['bcryptjs'], async () => createRequire(import.meta.url).resolve('bcryptjs'));
  let worker: Worker | undefined;
  /** The thread answers in order. */
  const waiting: Waiting[] = [];
  const lost = (error: unknown): void => {
    worker = undefined;
    for (const { reject } of waiting.splice(0)) reject(error);
  };
  const start = (): Worker => {
    const started = new Worker(program, { eval: true, workerData: location, execArgv: [] });
    started.on('message', (value: unknown) => {
      waiting.shift()?.resolve(value);
      if (waiting.length === 0) started.unref();
    });
    started.on('error', lost);
    started.on('exit', () => worker === started && lost(new Error('The thread of bcrypt has ended')));
    return started;
  };
  const call = (...message: readonly [method: string, ...values: unknown[]]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      worker ??= start();
      waiting.push({ resolve, reject });
      worker.ref();
      worker.postMessage(message);
    });
  return {
    compare: async (password, hash) => (await call('compareSync', password, hash)) === true,
    hash: async (password, cost) => String(await call('hashSync', password, cost)),
    async close() {
      await worker?.terminate();
    },
  };
}
