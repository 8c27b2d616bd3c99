import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Notification } from '../../../src/server/notifications/envelope.ts';

/** What receives notifications. */
export interface Receiver {
  readonly url: string;
  readonly received: {
    readonly headers: IncomingHttpHeaders;
    readonly text: string;
    readonly events: readonly Notification[];
  }[];
  /** The events of all requests that were accepted, in order. */
  readonly accepted: readonly Notification[];
  /** The status of the next response; `hang` for none. */
  respond: (request: number) => number | 'hang';
  close(): Promise<void>;
}

export async function startReceiver(respond: Receiver['respond'] = () => 202): Promise<Receiver> {
  const received: Receiver['received'] = [];
  const accepted: Notification[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    const { events } = JSON.parse(text) as { readonly events: readonly Notification[] };
    received.push({ headers: request.headers, text, events });
    const status = receiver.respond(received.length);
    if (status === 'hang') return;
    if (status < 400) accepted.push(...events);
    response.writeHead(status).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}/events`,
    ...{ received, accepted, respond },
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return receiver;
}
