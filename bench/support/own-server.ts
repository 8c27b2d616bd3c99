// A registry of this package for benchmarks: `memory PORT` or `layout PORT DIRECTORY`. Ends when it is killed.
import { layoutRegistry, listen, memoryRegistry, serve } from 'ocifetch/server';

const [kind, port, directory = ''] = process.argv.slice(2);
const registry = kind === 'layout' ? layoutRegistry(directory) : memoryRegistry();
await listen(serve(registry), { port: Number(port) });
