// In the bundle of the command line, in place of src/http/load-undici.ts: the parts of undici that are used, by the files
// they are in. Without the rest of it (its own fetch, WebSocket, mocks, caches) a first request is 40 ms earlier, and
// nothing makes itself the dispatcher of the process. package-lock.json pins the version that these paths are of.
import request from 'undici/lib/api/api-request.js';
import buildConnector from 'undici/lib/core/connect.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';
import ProxyAgent from 'undici/lib/dispatcher/proxy-agent.js';

// As undici's index.js does with all of its calls.
Dispatcher.prototype.request = request;

export const loadUndici = async () => ({ Agent, ProxyAgent, buildConnector });
