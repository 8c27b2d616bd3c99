// node scripts/check-publish.mjs [package.json]: whether what only the publisher knows is in package.json. The publishing
// workflow and `npm publish` stop here until it is. Everything follows from `repository`: nothing else holds the address.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = process.argv[2] ?? fileURLToPath(new URL('../package.json', import.meta.url));
const { version, repository, homepage, bugs } = JSON.parse(readFileSync(path, 'utf8'));

/** Undefined unless it is an https address of a host with a name. */
function addressOf(text) {
  if (typeof text !== 'string' || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.protocol === 'https:' && url.hostname.includes('.') ? url : undefined;
}

const source = typeof repository?.url === 'string' ? addressOf(repository.url.replace(/^git\+/, '')) : undefined;
const base = source?.href.replace(/\.git$/, '');
const missing = [];
if (version === '0.0.0') missing.push('"version": the version to publish, instead of 0.0.0');
if (repository?.type !== 'git' || !base) {
  missing.push('"repository": { "type": "git", "url": "git+https://…" }, the address of the public repository');
}
if (!addressOf(homepage)) missing.push('"homepage": an https address, such as the README in the repository');
if (!addressOf(bugs?.url)) missing.push('"bugs": { "url": "https://…" }, the issue list');
// Provenance is only accepted for the repository that the workflow runs in.
const runsIn = process.env.GITHUB_REPOSITORY && `${process.env.GITHUB_SERVER_URL}/${process.env.GITHUB_REPOSITORY}`;
if (base && runsIn && base.toLowerCase() !== runsIn.toLowerCase()) {
  missing.push(`"repository": ${runsIn}, where the workflow runs, instead of ${base}`);
}

if (missing.length > 0) {
  console.error(`Cannot publish: package.json lacks\n${missing.map((line) => `  ${line}`).join('\n')}`);
  process.exitCode = 1;
}
