import { unlessAborted } from '../deadline.ts';
import { remember } from './bounded-map.ts';
import type { HttpRequest } from './transport.ts';

/** To be called when the first answer has come, and at last with `false`, which counts where none has. */
export type Answered = (isAnswer?: boolean) => void;

/**
 * Lets the first request to an endpoint go ahead, so that a hundred at once do not meet a hundred challenges: the others
 * wait until it has an answer. Where it fails they go on all together, and the next to come is the first again. A wait
 * ends with `ABORTED` when its signal fires.
 */
export function createFirsts(): (request: HttpRequest) => Promise<Answered> {
  const answers = new Map<string, Promise<void>>();
  return async ({ endpoint, signal }) => {
    if (!endpoint) return () => {};
    const coming = answers.get(endpoint.url);
    if (coming) {
      await unlessAborted(coming, signal);
      return () => {};
    }
    let goOn = (): void => {};
    let isOver = false;
    const answer = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    void remember(answers, endpoint.url, answer);
    return (isAnswer = true) => {
      if (!isOver && !isAnswer) answers.delete(endpoint.url);
      isOver = true;
      goOn();
    };
  };
}
