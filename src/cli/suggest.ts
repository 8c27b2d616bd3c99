/** Of the words that could have been meant, the one that is typed with the fewest wrong letters, if they are few. */
export function suggest(typed: string, words: readonly string[]): string | undefined {
  const [best] = words
    .map((word) => ({ word, wrong: wrongLetters(typed.slice(0, 40), word) }))
    .filter(
      ({ word, wrong }) =>
        (wrong < typed.length && wrong <= Math.max(2, word.length / 3)) || (typed.length > 2 && word.startsWith(typed)),
    )
    .sort((a, b) => a.wrong - b.wrong);
  return best?.word;
}

/** Letters to add, drop or change. */
function wrongLetters(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] ?? 0) + Number(letter !== b[j - 1]);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
