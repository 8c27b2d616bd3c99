/** A text in double quotes, as TOML and YAML both read it. */
function doubleQuoted(text: string): string {
  const escaped = [...text].map((letter) => {
    if (letter === '"' || letter === '\\') return `\\${letter}`;
    if (/^[\x20-\x7e]$/.test(letter)) return letter;
    const code = (letter.codePointAt(0) ?? 0).toString(16);
    return code.length > 4 ? `\\U${code.padStart(8, '0')}` : `\\u${code.padStart(4, '0')}`;
  });
  return `"${escaped.join('')}"`;
}

/** A text for TOML; a literal one where it can be, so that patterns stay legible. */
export const tomlText = (text: string): string =>
  /^[\x20-\x7e]*$/.test(text) && /["\\]/.test(text) && !text.includes("'") ? `'${text}'` : doubleQuoted(text);

/** A text for YAML, always in quotes: no reader takes it for a number, a boolean, an anchor or a merge. */
export const yamlText = (text: string): string =>
  /^[\x20-\x7e]*$/.test(text) ? `'${text.replaceAll("'", "''")}'` : doubleQuoted(text);

/** A key for YAML, which reads none of more than 1024 characters on the line of its value. */
export const yamlKey = (key: string): string => {
  if (/^[A-Za-z][A-Za-z0-9_]{0,60}$/.test(key) && !/^(?:y|n|yes|no|on|off|true|false|null)$/i.test(key))
    return `${key}:`;
  const quoted = yamlText(key);
  return quoted.length <= 1000 ? `${quoted}:` : `? ${quoted}\n:`;
};
