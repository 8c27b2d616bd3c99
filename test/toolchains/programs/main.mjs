// What every toolchain runs: a registry in the process, a pull from it, a reading, and an error. Prints one line of JSON.
import * as api from 'ocifetch';
import * as server from 'ocifetch/server';
import { scenario } from './scenario.mjs';

scenario(api, server).then(
  (result) => console.log(JSON.stringify(result)),
  (error) => console.log(JSON.stringify({ code: error.code, message: error.message })),
);
