/** The word that a mistyped one was meant to be: a beginning of it, it and more, or few letters wrong, in any case. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const typed = word.slice(0, 64).toLowerCase();
  const [best] = candidates
    .map((candidate) => ({ candidate, wrong: distance(typed, candidate.toLowerCase()) }))
    .filter(({ candidate, wrong }) => wrong < typed.length && wrong <= Math.max(2, candidate.length / 3))
    .sort((a, b) => a.wrong - b.wrong);
  return best?.candidate;
}

function distance(typed: string, word: string): number {
  if (typed.length > 2 && word.startsWith(typed)) return 1;
  return word.length > 2 && typed.startsWith(word) ? Math.min(2, edits(typed, word)) : edits(typed, word);
}

/** How many letters to add, drop or change (Levenshtein). */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const change = (row[j] ?? 0) + (letter === b[j] ? 0 : 1);
      next.push(Math.min(change, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
