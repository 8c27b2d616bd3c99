const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Bytes as text. Those that are not UTF-8 become the lone surrogates U+DC80 to U+DCFF, as with Python's
 * `surrogateescape`: different bytes are different texts.
 */
export function textOf(bytes: Uint8Array): string {
  return decoded(bytes) ?? escaped(bytes);
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

function escaped(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at] ?? 0;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const character = decoded(bytes.subarray(at, at + length));
    text += character ?? String.fromCharCode(0xdc00 + lead);
    at += character === undefined ? 1 : length;
  }
  return text;
}

/** A text that ends with the first NUL, or with its field. */
export function textField(field: Uint8Array): string {
  const end = field.indexOf(0);
  return textOf(end === -1 ? field : field.subarray(0, end));
}
