import { expect, test } from 'vitest';
import { parseWarnings } from '../../src/http/warning.ts';

test.each<[string | undefined, string[]]>([
  [undefined, []],
  ['', []],
  ['299 - "Your quota is low"', ['Your quota is low']],
  ['299 registry.test:5000 "Your quota is low" "Thu, 01 Jan 2026 00:00:00 GMT"', ['Your quota is low']],
  ['299 - "one", 299 - "two"', ['one', 'two']],
  ['299 - "one",299 - "one"', ['one']],
  ['110 - "stale", 299 - "one", 199 - "other"', ['one']],
  ['299 - "a \\"quoted\\" text \\\\ with, a comma"', ['a "quoted" text \\ with, a comma']],
  ['299 - "of another: , 299 - \\"two\\""', ['of another: , 299 - "two"']],
  ['299 - unquoted', []],
  ['299 - "never closed', []],
  ['1299 - "one"', []],
])('the texts of %s', (field, texts) => {
  expect(parseWarnings(field)).toEqual(texts);
});

test('a field of 64 KiB takes no longer than it should', () => {
  for (const unit of ['299 - "', ' ', ',', '299 ', '\\"']) {
    const started = performance.now();
    parseWarnings(unit.repeat(65_536 / unit.length));
    expect(performance.now() - started).toBeLessThan(250);
  }
});
