import { expect, test } from 'vitest';
import { expandShortName } from '../../src/config/credentials.ts';

const names = {
  aliases: { fedora: 'registry.fedoraproject.org/fedora', 'team/app': 'quay.io/team/app' },
  search: ['quay.io'],
};

test.each([
  ['fedora', 'registry.fedoraproject.org/fedora'],
  ['fedora:40', 'registry.fedoraproject.org/fedora:40'],
  ['team/app@sha256:abc', 'quay.io/team/app@sha256:abc'],
  ['alpine', 'quay.io/alpine'],
  ['alpine:3.20', 'quay.io/alpine:3.20'],
  ['a/b/c:x', 'quay.io/a/b/c:x'],
  ['docker.io/library/alpine', 'docker.io/library/alpine'],
  ['localhost/x', 'localhost/x'],
  ['localhost:5000/x', 'localhost:5000/x'],
  ['registry:5000/x:1', 'registry:5000/x:1'],
  ['LOCALHOST/x', 'LOCALHOST/x'],
  ['[::1]:5000/x', '[::1]:5000/x'],
  ['constructor', 'quay.io/constructor'],
  ['', ''],
])('%j stands for %j', (reference, expected) => {
  expect(expandShortName(reference, names)).toBe(expected);
});

test('without a configuration a name stays what Docker makes of it', () => {
  expect(expandShortName('alpine')).toBe('alpine');
  expect(expandShortName('alpine', { search: [] })).toBe('alpine');
});

test('of several registries none is guessed', () => {
  const expand = (): string => expandShortName('alpine', { search: ['quay.io', 'docker.io'] });
  expect(expand).toThrow(
    'Cannot parse reference "alpine": it has no registry, and 2 are searched (quay.io, docker.io)',
  );
});
