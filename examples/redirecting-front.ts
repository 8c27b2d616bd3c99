// One name for a registry that may move: requests are redirected to it, and blobs to the bucket that is nearest.
// Usage: node examples/redirecting-front.ts [registry]
import { createClient } from 'ocifetch';
import { type FrontEvent, listen, parseCloudRanges, redirectFront } from 'ocifetch/server';

const [registry = 'localhost:5000'] = process.argv.slice(2);
// In earnest the text of https://ip-ranges.amazonaws.com/ip-ranges.json
const ranges = parseCloudRanges(
  '{ "prefixes": [{ "ip_prefix": "35.180.0.0/16", "region": "eu-west-3" }], "ipv6_prefixes": [] }',
);
const redirects: FrontEvent['to'][] = [];
const front = await listen(
  redirectFront({
    upstream: `http://${registry}`,
    ranges,
    buckets: [{ cloud: 'AWS', regions: ['eu-west-3'], url: 'https://paris.example' }],
    client: 'socket',
    onEvent: ({ to }) => redirects.push(to),
  }),
);

const client = createClient();
const fetcher = client.fetcher(`${new URL(front.url).host}/team/tools`);
const { descriptor } = await fetcher.resolve('1.0');
const content = await fetcher.fetch(descriptor);
await content.bytes();
console.log(`verified: ${content.verified}, redirected to the ${[...new Set(redirects)].join(', ')}`);

await client.close();
await front.close();

// Output:
// verified: true, redirected to the upstream
