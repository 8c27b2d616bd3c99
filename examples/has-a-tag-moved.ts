// What a dependency bot needs: the list of tags, and whether a tag has moved. No content is downloaded.
// Usage: node examples/has-a-tag-moved.ts [registry]
import { createClient, digestOf } from 'ocifetch';

const [registry = 'localhost:5000'] = process.argv.slice(2);
const known: string = digestOf(new TextEncoder().encode('what the tag named last time'));

const client = createClient();
const fetcher = client.fetcher(`${registry}/team/tools`);

console.log((await fetcher.tags()).join(' '));

// A HEAD, which Docker Hub does not count as a pull.
const { descriptor } = await fetcher.resolve('1.0');
console.log(descriptor.digest === known ? 'unchanged' : 'the tag has moved');

await client.close();

// Output:
// 1.0 2.0
// the tag has moved
