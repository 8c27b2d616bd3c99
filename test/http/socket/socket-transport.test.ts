import { expect, test } from 'vitest';
import { socketTransport } from '../../../src/http/socket/socket-transport.ts';
import { connectedTransportContract } from '../../contract/connected-transport.ts';
import { rawServer, textOf } from '../../support/http.ts';

connectedTransportContract('sockets', socketTransport);

test('late bytes that no response to HEAD has do not fail the next request', async () => {
  const server = await rawServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      if (String(bytes).startsWith('HEAD')) {
        socket.write('HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\n');
        setTimeout(() => socket.write('not found'), 20);
      } else setTimeout(() => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'), 60);
    });
  });
  const transport = socketTransport();
  const head = await transport({ method: 'HEAD', url: `${server.url}/a` });
  expect([head.status, await textOf(head)]).toEqual([404, '']);
  const response = await transport({ method: 'GET', url: `${server.url}/b` });
  expect([response.status, await textOf(response)]).toEqual([200, 'ok']);
  await transport.close();
});
