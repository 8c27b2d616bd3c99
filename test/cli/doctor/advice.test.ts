import type { Endpoint } from 'ocifetch';
import { expect, test } from 'vitest';
import { adviceOf, usualNames } from '../../../src/cli/doctor/advice.ts';
import type { Step } from '../../../src/cli/doctor/probes.ts';

const endpoint: Endpoint = {
  url: 'https://mirror.test/v2',
  repository: 'hub/a',
  scopes: [],
  capabilities: ['pull', 'resolve'],
};
const undeclared = { ...endpoint, url: 'https://registry-1.docker.io/v2' };
const toml = { ...endpoint, declaredAt: '/etc/certs.d/docker.io/hosts.toml:3' };
const yaml = { ...endpoint, declaredAt: '/etc/rancher/k3s/registries.yaml:4' };
const rewritten = { ...toml, rewrite: { pattern: '^', replacement: 'hub/', from: 'a' } };
const known = { ...toml, credentials: 'credentials["mirror.test"]' };

const step = (name: Step['name'], code: string, status?: number): Step => ({
  name,
  ok: false,
  duration: 1,
  found: '',
  code,
  ...(status !== undefined && { status }),
});

/** What failed, of which host, and what is to be done about it. */
const cases: readonly [failed: Step, host: Endpoint, advice: string][] = [
  [step('name', 'ENOTFOUND'), undeclared, "The name does not exist: correct the reference, or this machine's DNS"],
  [
    step('name', 'EAI_AGAIN'),
    yaml,
    "The name does not exist: correct endpoint at /etc/rancher/k3s/registries.yaml:4, or this machine's DNS",
  ],
  [
    step('tcp', 'ECONNREFUSED'),
    toml,
    'Nothing listens there: start it, or correct [host."…"] at /etc/certs.d/docker.io/hosts.toml:3',
  ],
  [step('tcp', 'EHOSTUNREACH'), undeclared, 'It cannot be reached: check the network, or correct the reference'],
  [
    step('tcp', 'TIMEOUT'),
    undeclared,
    'It does not respond: a firewall may drop the connection, or it can only be reached through a proxy: set HTTPS_PROXY; else correct the reference',
  ],
  [
    step('tcp', 'TIMEOUT'),
    { ...undeclared, proxy: 'http://proxy.test:3128/' },
    'It does not respond: a firewall may drop the connection; else correct the proxy http://proxy.test:3128/',
  ],
  [step('manifest', 'TIMEOUT'), toml, 'It takes too long: look at its load, or give it more time with --timeout'],
  [
    step('tls', 'SELF_SIGNED_CERT_IN_CHAIN'),
    yaml,
    'This machine does not trust who signed the certificate: name the CA\'s file as configs."mirror.test".tls.ca_file at /etc/rancher/k3s/registries.yaml:4, or in NODE_EXTRA_CA_CERTS; configs."mirror.test".tls.insecure_skip_verify: true would trust any certificate',
  ],
  [
    step('tls', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
    undeclared,
    'This machine does not trust who signed the certificate: name the CA\'s file as registries["docker.io"].origin.tls.ca in ocifetch\'s own file, or in NODE_EXTRA_CA_CERTS; registries["docker.io"].origin.tls.insecureSkipVerify: true would trust any certificate',
  ],
  [
    step('tls', 'CERT_HAS_EXPIRED'),
    toml,
    'The certificate has expired: have it renewed, or set the clock of this machine',
  ],
  [step('tls', 'CERT_NOT_YET_VALID'), toml, 'The certificate is not valid yet: set the clock of this machine'],
  [
    step('tls', 'ERR_TLS_CERT_ALTNAME_INVALID'),
    toml,
    'The certificate is for other names: use one of them in [host."…"] at /etc/certs.d/docker.io/hosts.toml:3',
  ],
  [
    step('manifest', 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'),
    toml,
    'It requires a client certificate, or another one: name one as client at /etc/certs.d/docker.io/hosts.toml:3',
  ],
  [
    step('manifest', 'UNAUTHORIZED', 401),
    toml,
    'It requires a login: configure one (docker login) for mirror.test, or correct the name, since some hosts say this of what does not exist',
  ],
  [
    step('manifest', 'UNAUTHORIZED', 401),
    known,
    'It refuses the login of credentials["mirror.test"]: log in again (docker login) at mirror.test',
  ],
  [
    step('manifest', 'DENIED', 403),
    { ...known, rewrite: rewritten.rewrite },
    'The login of credentials["mirror.test"] is not one that may read "hub/a" there: request access, or correct the rewrite "^" at /etc/certs.d/docker.io/hosts.toml:3',
  ],
  [step('manifest', 'RATE_LIMITED', 429), known, 'It limits requests: wait, or configure a mirror of it'],
  [step('manifest', 'UNAVAILABLE', 503), toml, 'The host itself fails: look at its log, or ask its operator'],
  [
    step('manifest', 'NOT_FOUND', 404),
    rewritten,
    'It does not have it in "hub/a": correct the rewrite "^" at /etc/certs.d/docker.io/hosts.toml:3, if it should',
  ],
  [
    step('manifest', 'ECONNRESET'),
    toml,
    'It closes the connection: it may require a client certificate (client at /etc/certs.d/docker.io/hosts.toml:3), or speak another protocol; look at its log',
  ],
  [
    step('manifest', 'ECONNRESET'),
    { ...toml, tls: { cert: 'x', key: 'y' } },
    'It closes the connection: it may refuse the client certificate, or speak another protocol; look at its log',
  ],
  [
    step('manifest', 'ECONNRESET'),
    { ...undeclared, url: 'http://localhost:5000/v2' },
    'It closes the connection: it may speak another protocol, or refuse this machine; look at its log',
  ],
  [
    step('manifest', 'TOO_MANY_REDIRECTS'),
    toml,
    'It redirects without end: correct [host."…"] at /etc/certs.d/docker.io/hosts.toml:3, or report the redirects to its operator',
  ],
  [
    { ...step('manifest', 'RATE_LIMITED', 429), retryAfter: '120' },
    known,
    'It limits requests: wait 120 s, or configure a mirror of it',
  ],
  [
    step('manifest', 'UNSAFE_URL'),
    toml,
    'It leads to an unsafe address: report its redirects or token realm to its operator',
  ],
  [
    { ...step('blob', 'UNSAFE_URL'), reason: 'private-address', host: 's3.corp.test:9000' },
    toml,
    'It leads to a private address: if that is yours, allow it with --allow-private s3.corp.test:9000, or list it in allowPrivate',
  ],
];

test.each(cases)('advice about step %j of host %j', (failed, host, advice) => {
  expect(adviceOf({ endpoint: host, steps: [failed] })).toBe(advice);
});

test('the advice is about a refused token, not about the manifest that failed because of it', () => {
  const steps = [
    step('api', 'UNAUTHORIZED', 401),
    step('token', 'RATE_LIMITED', 429),
    step('manifest', 'UNAUTHORIZED', 401),
  ];
  expect(adviceOf({ endpoint: toml, steps })).toBe('It limits requests: wait, log in, or configure a mirror of it');
});

test('a host that serves gets no advice, whatever its response to /v2/', () => {
  const steps = [step('api', 'NOT_FOUND', 404), { ...step('manifest', ''), ok: true }];
  expect(adviceOf({ endpoint: toml, steps })).toBeUndefined();
});

test('a setting has its name in the tool that owns the file, whatever the name of the file', () => {
  const declared = { ...endpoint, declaredAt: '/tmp/mirrors.json:6' };
  const steps = [step('tcp', 'ECONNREFUSED')];
  const names = usualNames({ words: [], flags: new Set(), texts: { 'regctl-config': '/tmp/mirrors.json' } });
  expect(adviceOf({ endpoint: declared, steps }, names)).toBe(
    'Nothing listens there: start it, or correct hostname at /tmp/mirrors.json:6',
  );
  expect(adviceOf({ endpoint: declared, steps })).toBe(
    'Nothing listens there: start it, or correct url at /tmp/mirrors.json:6',
  );
});
