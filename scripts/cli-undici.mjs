// Replaces src/http/load-undici.ts in the bundle of the command line: imports only the parts of undici that are used, from
// their files. Without the rest (its own fetch, WebSocket, mocks, caches) the first request is sent 40 ms earlier, and undici
// does not become the dispatcher of the process. package-lock.json pins the version that has these paths.
import api from 'undici/lib/api/index.js';
import buildConnector from 'undici/lib/core/connect.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import Client from 'undici/lib/dispatcher/client.js';
import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';
import Pool from 'undici/lib/dispatcher/pool.js';
import ProxyAgent from 'undici/lib/dispatcher/proxy-agent.js';

// As undici's index.js does: the agent for proxies calls another one of these than we do.
Object.assign(Dispatcher.prototype, api);

export const loadUndici = async () => ({ Agent, Client, Pool, ProxyAgent, buildConnector });
