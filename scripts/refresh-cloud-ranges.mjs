// node scripts/refresh-cloud-ranges.mjs [folder]: downloads the lists of their addresses that clouds publish, for the `ranges` of a
// redirecting front. A list that cannot be read leaves the file that is there as it is. Needs `npm run build`.
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseCloudRanges } from 'ocifetch/server';

/** By file. Azure's has another URL each week, so it is downloaded by hand: https://www.microsoft.com/en-us/download/details.aspx?id=56519 */
const lists = {
  'ip-ranges.json': 'https://ip-ranges.amazonaws.com/ip-ranges.json',
  'cloud.json': 'https://www.gstatic.com/ipranges/cloud.json',
};

const [folder = '.'] = process.argv.slice(2);
await mkdir(folder, { recursive: true });
for (const [name, url] of Object.entries(lists)) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(60_000) });
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    const text = await response.text();
    const { length } = parseCloudRanges(text, url);
    const file = join(folder, name);
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
    console.log(`${file}: ${length} prefixes`);
  } catch (error) {
    console.error(`Cannot download "${url}": ${error.message}`);
    process.exitCode = 1;
  }
}
