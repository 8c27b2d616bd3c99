import { type Loopback, rawServer } from './http.ts';

/** Responses, of a text in ASCII, that RFC 9112 tells how to repair, and undici does not read. */
export function repairable(type: string, content: string): Readonly<Record<string, string>> {
  const begin = `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\n`;
  const { length } = content;
  const size = length.toString(16);
  return {
    'a length beside chunks': `${begin}Content-Length: ${length}\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\n${content}\r\n0\r\n\r\n`,
    'chunks beside another length': `${begin}Transfer-Encoding: chunked\r\nContent-Length: ${length + 9}\r\n\r\n${size}\r\n${content}\r\n0\r\n\r\n`,
    'two equal lengths': `${begin}Content-Length: ${length}\r\nContent-Length: ${length}\r\n\r\n${content}`,
    'equal lengths in a line': `${begin}Content-Length: ${length}, ${length}\r\n\r\n${content}`,
    'an unsolicited 100': `HTTP/1.1 100 Continue\r\n\r\n${begin}Content-Length: ${length}\r\n\r\n${content}`,
    'space after the size of a chunk': `${begin}Transfer-Encoding: chunked\r\n\r\n${size} \r\n${content}\r\n0\r\n\r\n`,
    'a folded line': `${begin}X-Folded: a\r\n b\r\nContent-Length: ${length}\r\n\r\n${content}`,
    'lines without a carriage return': `${begin}Content-Length: ${length}\r\n\r\n`.replaceAll('\r', '') + content,
  };
}

/** A registry that sends every content in this way, and what it is sent for. */
export const repairableHost = (
  way: keyof ReturnType<typeof repairable>,
  contents: readonly { readonly type: string; readonly path: string; readonly text: string }[],
): Promise<Loopback> =>
  rawServer((socket) => {
    socket.once('data', (request: Buffer) => {
      const [, path = ''] = request.toString('latin1').split(' ', 2);
      const found = contents.find((content) => path.startsWith(content.path));
      if (found) socket.end(repairable(found.type, found.text)[way] ?? '', 'latin1');
      else socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
    });
  });
