export { type Htpasswd, type HtpasswdOptions, htpasswd } from './htpasswd.ts';
