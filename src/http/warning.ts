/** The texts of `Warning: 299 - "text"` fields: what a registry wishes its users to be told. RFC 7234 section 5.5, distribution-spec "Warnings" */
export function parseWarnings(field: string | undefined): string[] {
  const texts = (field ?? '').slice(0, 4096).matchAll(/(?:^|,)\s*299\s+\S+\s+"((?:[^"\\]|\\.)*)"/g);
  return [...new Set(Array.from(texts, ([, text = '']) => text.replace(/\\(.)/g, '$1')))];
}
