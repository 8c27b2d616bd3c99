import type { DocumentNode } from '../../../src/config/document/document.ts';

/** Every key and value, as `path = value @line:column`, in the order they are found. */
export function outline(node: DocumentNode, path = ''): string[] {
  const place = `@${node.at.line}:${node.at.column}`;
  if (node.kind === 'scalar') return [`${path} = ${String(node.value)} ${place}`];
  if (node.kind === 'list') return node.items.flatMap((item, index) => outline(item, `${path}[${index}]`));
  return [...node.entries].flatMap(([key, { at, value }]) => outline(value, `${path}/${key}(${at.line}:${at.column})`));
}
