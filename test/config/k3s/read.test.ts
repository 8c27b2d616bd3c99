import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readRegistriesYaml } from '../../../src/config/k3s/read.ts';
import { RegistryError } from '../../../src/errors.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { planHosts } from '../../../src/remote/plan.ts';
import { expectLinear } from '../../support/linear.ts';
import { runs } from '../../support/runs.ts';
import { mutationsOf } from '../mutations.ts';
import { withoutSpots } from '../problem.ts';

const file = '/etc/rancher/k3s/registries.yaml';
const short = (text: string): string => text.replaceAll(file, 'registries.yaml');

function read(yaml: string, defaultEndpoint?: boolean) {
  const { config: whole, warnings } = readRegistriesYaml(yaml, { file, defaultEndpoint });
  const config = withoutSpots(whole);
  return { ...config, registries: config.registries ?? {}, config, warnings: warnings.map(short) };
}

function messageOf(yaml: string): string {
  try {
    readRegistriesYaml(yaml, { file });
  } catch (error) {
    expect(error).toBeInstanceOf(RegistryError);
    expect(error).toMatchObject({ code: 'INVALID_CONFIG' });
    return short((error as Error).message);
  }
  return 'accepted';
}

/** The repositories that are asked for an image, in order, with their namespace, TLS and login. */
function asked(yaml: string, image: string, defaultEndpoint?: boolean): string[] {
  return planHosts(read(yaml, defaultEndpoint).config)
    .hosts(parseReference(image))
    .endpoints.map(({ url, repository: name, namespace, tls, credentials }) =>
      [
        `${url}/${name}`,
        namespace && `ns=${namespace}`,
        tls?.insecureSkipVerify && 'unverified',
        credentials && 'login',
      ]
        .filter(Boolean)
        .join(' '),
    );
}

const pause = 'docker.io/rancher/mirrored-pause:3.6';
const hub = 'https://registry-1.docker.io/v2/rancher/mirrored-pause';

describe("k3s' own examples", () => {
  test.each<[name: string, yaml: string, image: string, ...asked: string[]]>([
    [
      'a mirror with a port of the registry that has none',
      'mirrors:\n  registry.example.com:\n    endpoint:\n      - "https://registry.example.com:5000"\n',
      'registry.example.com/a',
      'https://registry.example.com:5000/v2/a ns=registry.example.com',
      'https://registry.example.com/v2/a',
    ],
    [
      'a redirect',
      'mirrors:\n  docker.io:\n    endpoint:\n      - "https://registry.example.com:5000"\n',
      pause,
      'https://registry.example.com:5000/v2/rancher/mirrored-pause ns=docker.io',
      hub,
    ],
    [
      'a rewrite',
      'mirrors:\n  docker.io:\n    endpoint:\n      - "https://registry.example.com:5000"\n    rewrite:\n      "^rancher/(.*)": "mirrorproject/rancher-images/$1"\n',
      pause,
      'https://registry.example.com:5000/v2/mirrorproject/rancher-images/mirrored-pause ns=docker.io',
      hub,
    ],
    [
      'a rewrite on the registry itself, by its port',
      'mirrors:\n registry.example.com:\n   endpoint:\n     - "https://registry.example.com:443"\n   rewrite:\n     "^rancher/(.*)": "mirrorproject/rancher-images/$1"\n',
      'registry.example.com/rancher/mirrored-pause:3.6',
      'https://registry.example.com/v2/mirrorproject/rancher-images/mirrored-pause',
      'https://registry.example.com/v2/rancher/mirrored-pause',
    ],
    [
      'a login over TLS, its files left empty',
      'mirrors:\n  docker.io:\n    endpoint:\n      - "https://registry.example.com:5000"\nconfigs:\n  "registry.example.com:5000":\n    auth:\n      username: xxxxxx # this is the registry username\n      password: xxxxxx # this is the registry password\n    tls:\n      cert_file: # path to the cert file used in the registry\n      key_file:  # path to the key file used in the registry\n      ca_file:   # path to the ca file used in the registry\n',
      pause,
      'https://registry.example.com:5000/v2/rancher/mirrored-pause ns=docker.io login',
      hub,
    ],
    [
      'a login without TLS',
      'mirrors:\n  docker.io:\n    endpoint:\n      - "http://registry.example.com:5000"\nconfigs:\n  "registry.example.com:5000":\n    auth:\n      username: xxxxxx\n      password: xxxxxx\n',
      pause,
      'http://registry.example.com:5000/v2/rancher/mirrored-pause ns=docker.io login',
      hub,
    ],
  ])('%s', (_, yaml, image, ...expected) => {
    expect(asked(yaml, image)).toEqual(expected);
  });

  const wildcard =
    'mirrors:\n  "*":\n    endpoint:\n      - "https://registry.example.com:5000"\nconfigs:\n  "docker.io":\n  "*":\n    tls:\n      insecure_skip_verify: true\n';

  test('a mirror for all registries, verified for none but docker.io', () => {
    expect(asked(wildcard, pause)).toEqual([
      'https://registry.example.com:5000/v2/rancher/mirrored-pause ns=docker.io unverified',
      hub,
    ]);
    expect(asked(wildcard, 'quay.io/a/b')).toEqual([
      'https://registry.example.com:5000/v2/a/b ns=quay.io unverified',
      'https://quay.io/v2/a/b unverified',
    ]);
    expect(read(wildcard).warnings).toEqual([]);
  });

  test('the outline of a file, its placeholders filled in', () => {
    const outline =
      'mirrors:\n  r.example:\n    endpoint:\n      - https://r.example/v2\nconfigs:\n  r.example:\n    auth:\n      username: u\n      password: p\n      token: t\n    tls:\n      ca_file: /ca\n      cert_file: /cert\n      key_file: key\n      insecure_skip_verify: false\n';
    expect(read(outline)).toMatchObject({
      registries: {
        'r.example': {
          origin: { url: 'https://r.example', tls: { ca: ['/ca'], cert: '/cert', key: '/etc/rancher/k3s/key' } },
        },
      },
      credentials: { 'r.example': { username: 'u', password: 'p' } },
      warnings: ['registries.yaml:10: configs["r.example"].auth.token: not used beside another login'],
    });
  });

  test('one that lacks a colon is refused', () => {
    expect(messageOf('mirrors:\n registry.example.com\n   endpoint:\n     - "https://x"\n')).toContain(
      'registries.yaml:2:2: not valid YAML',
    );
  });
});

test('what is read has its place', () => {
  const yaml =
    'mirrors:\n  docker.io:\n    endpoint:\n      - https://a.example/v2/hub\n      - b.example\n    rewrite:\n      z: y\n      10: x\nconfigs:\n  a.example:\n    tls:\n      ca_file: ca.pem\n';
  const rewrites = [
    { pattern: 'z', replacement: 'y' },
    { pattern: '10', replacement: 'x' },
  ];
  const capabilities = ['pull', 'resolve'];
  const tls = { ca: ['/etc/rancher/k3s/ca.pem'] };
  expect(read(yaml).config).toEqual({
    registries: {
      'docker.io': {
        mirrors: [
          { url: 'https://a.example/v2/hub', overridePath: true, capabilities, rewrites, tls, declaredAt: `${file}:4` },
          { url: 'https://b.example', capabilities, rewrites, declaredAt: `${file}:5` },
        ],
        declaredAt: `${file}:2`,
      },
      'a.example': { origin: { url: 'https://a.example', tls, declaredAt: `${file}:10` }, declaredAt: `${file}:10` },
    },
  });
});

// As k3s' normalizeEndpointAddress and wharfie's tests have them.
test.each([
  ['m.example', 'https://m.example/v2/a'],
  ['m.example:5000', 'https://m.example:5000/v2/a'],
  ['https://m.example/', 'https://m.example/v2/a'],
  ['https://m.example/v2', 'https://m.example/v2/a'],
  ['https://m.example/v2/', 'https://m.example/v2/a'],
  ['https://m.example/p', 'https://m.example/p/a'],
  ['https://m.example/v2/p', 'https://m.example/v2/p/a'],
  ['m.example/p', 'https://m.example/p/a'],
  ['localhost:5000', 'http://localhost:5000/v2/a'],
  ['localhost', 'https://localhost/v2/a'],
  ['localhost:443', 'https://localhost/v2/a'],
  ['127.0.0.1:5000', 'http://127.0.0.1:5000/v2/a'],
  ['[::1]:5000', 'http://[::1]:5000/v2/a'],
  ['https://localhost:5000', 'https://localhost:5000/v2/a'],
  ['docker.io', 'https://registry-1.docker.io/v2/a'],
  ['https://index.docker.io', 'https://registry-1.docker.io/v2/a'],
])('the endpoint %s is asked at %s', (endpoint, url) => {
  const [first = ''] = asked(`mirrors: { r.example: { endpoint: ["${endpoint}"] } }`, 'r.example/a');
  expect(first.replace(/ .*/, '')).toBe(url);
});

describe('the default endpoint', () => {
  test('is contacted last, once, and is not rewritten', () => {
    const yaml =
      'mirrors:\n  r.example:\n    endpoint:\n    - r.example\n    - m.example\n    rewrite: { "^": "x/" }\n';
    expect(asked(yaml, 'r.example/a')).toEqual(['https://m.example/v2/x/a ns=r.example', 'https://r.example/v2/a']);
    expect(read(yaml).warnings).toEqual([
      'registries.yaml:4: mirrors["r.example"].endpoint[0]: the default endpoint is contacted last and without rewrites',
    ]);
  });

  test('may be listed last, which changes nothing', () => {
    expect(read('mirrors: { docker.io: { endpoint: [m.example, "https://index.docker.io/v2"] } }').warnings).toEqual(
      [],
    );
  });

  test('is not contacted for registries with mirrors when it is off', () => {
    const yaml =
      'mirrors: { r.example: { endpoint: [m.example] } }\nconfigs: { c.example: { tls: { insecure_skip_verify: true } } }';
    expect(asked(yaml, 'r.example/a', false)).toEqual(['https://m.example/v2/a ns=r.example']);
    expect(asked(yaml, 'other.example/a', false)).toEqual(['https://other.example/v2/a']);
    expect(read(yaml, false).registries['c.example']).toMatchObject({ origin: { url: 'https://c.example' } });
  });

  test('is an endpoint like others when it is off and listed', () => {
    const yaml = 'mirrors: { r.example: { endpoint: [r.example], rewrite: { "^": "x/" } } }';
    expect(asked(yaml, 'r.example/a', false)).toEqual(['https://r.example/v2/x/a']);
  });

  test('is off for all registries where "*" has mirrors', () => {
    expect(asked('mirrors: { "*": { endpoint: [m.example] } }', 'r.example/a', false)).toEqual([
      'https://m.example/v2/a ns=r.example',
    ]);
  });
});

test('a registry with an entry does not use the mirrors of all others', () => {
  const yaml =
    'mirrors:\n  "*": { endpoint: [m.example] }\n  r.example:\nconfigs:\n  c.example: { auth: { username: u, password: p } }';
  expect(asked(yaml, 'r.example/a')).toEqual(['https://r.example/v2/a']);
  expect(asked(yaml, 'c.example/a')).toEqual(['https://c.example/v2/a login']);
  expect(asked(yaml, 'other.example/a')).toEqual([
    'https://m.example/v2/a ns=other.example',
    'https://other.example/v2/a',
  ]);
  expect(read(yaml).warnings).toEqual([
    'registries.yaml:5: configs["c.example"]: with this entry, the mirrors of "*" are not used for it; list it under mirrors to use them',
  ]);
});

test('the login of an endpoint takes nothing from the mirrors of "*", and is not warned of', () => {
  const yaml =
    'mirrors: { "*": { endpoint: [m.example] } }\nconfigs: { m.example: { auth: { username: u, password: p } } }';
  expect(asked(yaml, 'r.example/a')).toEqual(['https://m.example/v2/a ns=r.example login', 'https://r.example/v2/a']);
  expect(asked(yaml, 'm.example/a')).toEqual(['https://m.example/v2/a login']);
  expect(read(yaml).warnings).toEqual([]);
});

test('tls of "*" is for every registry at its own address that has no entry', () => {
  const yaml =
    'configs:\n  "*": { tls: { insecure_skip_verify: true } }\n  a.example: { auth: { username: u, password: p } }\n  b.example: { tls: { insecure_skip_verify: no } }\n  c.example:\n';
  expect(asked(yaml, 'other.example/a')).toEqual(['https://other.example/v2/a unverified']);
  // If it turns out to speak TLS, the setting holds.
  expect(asked(yaml, 'localhost:5000/a')).toEqual(['http://localhost:5000/v2/a unverified']);
  expect(asked(yaml, 'a.example/a')).toEqual(['https://a.example/v2/a login']);
  expect(asked(yaml, 'c.example/a')).toEqual(['https://c.example/v2/a']);
  expect(asked(yaml, 'b.example/a')).toEqual(['https://b.example/v2/a']);
  expect(read(yaml).registries['*']).toEqual({
    origin: { tls: { insecureSkipVerify: true }, declaredAt: `${file}:2` },
    declaredAt: `${file}:2`,
  });
});

test('an empty entry keeps the tls of "*" away and the mirrors of "*" on, even if they are all', () => {
  const yaml =
    'mirrors: { "*": { endpoint: [m.example] } }\nconfigs: { "*": { tls: { insecure_skip_verify: yes } }, c.example: }';
  const mirror = 'https://m.example/v2/a ns=c.example unverified';
  expect(asked(yaml, 'c.example/a')).toEqual([mirror, 'https://c.example/v2/a']);
  expect(asked(yaml, 'c.example/a', false)).toEqual([mirror]);
});

test('a duplicate endpoint is contacted once', () => {
  const { registries, warnings } = read(
    'mirrors:\n  r.example:\n    endpoint:\n    - m.example\n    - https://M.example/v2\n',
  );
  expect(registries['r.example']?.mirrors).toHaveLength(1);
  expect(warnings).toEqual(['registries.yaml:5: mirrors["r.example"].endpoint[1]: duplicate, already listed above']);
});

test('the settings of a host are for its port', () => {
  const yaml =
    'mirrors: { r.example: { endpoint: ["https://m.example:5000", "https://m.example", "https://m.example:443/p"] } }\nconfigs: { m.example: { tls: { ca_file: /ca } } }';
  expect(read(yaml).registries['r.example']?.mirrors?.map(({ tls }) => tls?.ca)).toEqual([undefined, ['/ca'], ['/ca']]);
});

test('the settings of Docker Hub are found by its name and by its API host, which comes first', () => {
  const yaml =
    'mirrors: { r.example: { endpoint: [docker.io] } }\nconfigs:\n  docker.io: { tls: { ca_file: /a } }\n  registry-1.docker.io: { tls: { ca_file: /b } }';
  expect(read(yaml).registries['r.example']?.mirrors?.[0]?.tls?.ca).toEqual(['/b']);
  expect(read(yaml).warnings).toEqual([
    'registries.yaml:3: configs["docker.io"]: not used, the same host has another entry',
  ]);
});

test('TLS does not apply to a host that is contacted over http', () => {
  const yaml =
    'mirrors: { r.example: { endpoint: ["http://m.example"] } }\nconfigs:\n  m.example: { tls: { insecure_skip_verify: yes } }';
  expect(read(yaml).registries['r.example']?.mirrors?.[0]).not.toHaveProperty('tls');
  expect(read(yaml).warnings).toEqual([
    'registries.yaml:3: configs["m.example"]: its tls is not used for http://m.example, which is contacted over http',
  ]);
});

test.each<[auth: string, login: unknown, ...warnings: string[]]>([
  ['{ username: u, password: p }', { username: 'u', password: 'p' }],
  ['{ username: 12, password: 0123 }', { username: '12', password: '0123' }],
  ['{ username: u }', { username: 'u', password: '' }],
  ['{ auth: dTpwOnA= }', { username: 'u', password: 'p:p' }],
  ['{ identity_token: t }', { identityToken: 't' }],
  ['{ token: t }', { registryToken: 't' }],
  ['{ username: u, password: p, identity_token: t }', { username: 'u', password: 'p' }],
  ['{}', undefined],
  ['', undefined],
])('the login %s is %j', (auth, login) => {
  expect(read(`configs: { r.example: { auth: ${auth} } }`).config).toEqual(
    login ? { credentials: { 'r.example': login } } : {},
  );
});

test('a login for all hosts is given to none', () => {
  const { credentials, warnings } = read('configs:\n  "*": { auth: { username: u, password: p } }');
  expect(credentials).toBeUndefined();
  expect(warnings).toEqual([
    'registries.yaml:2: configs["*"]: its login is not sent to any host, as logins are looked up by host: name the hosts',
  ]);
});

test.each([[''], ['# nothing'], ['mirrors:\nconfigs:'], ['{}']])('%j says nothing', (yaml) => {
  expect(read(yaml)).toMatchObject({ config: {}, warnings: [] });
});

test('anchors and merges are read', () => {
  const yaml =
    'mirrors:\n  a.example: &m\n    endpoint: [m.example]\n  b.example: *m\n  c.example:\n    <<: *m\n    rewrite: { a: b }\n';
  expect(Object.values(read(yaml).registries).map(({ mirrors }) => mirrors?.[0]?.url)).toEqual(
    Array(3).fill('https://m.example'),
  );
});

test('a registry may have the name of a method of objects', () => {
  expect(Object.keys(read('mirrors: { constructor: { endpoint: [m.example] }, tostring: }').registries)).toEqual([
    'constructor',
    'tostring',
  ]);
});

test('what k3s knows and does not use is reported', () => {
  expect(read('auths: { x: {} }\nmirrors: { r.example: { rewrite: { a: b } } }').warnings).toEqual([
    'registries.yaml:1: auths: not used, k3s reads logins from configs',
    'registries.yaml:2: mirrors["r.example"].rewrite: not used, there is no endpoint to rewrite for',
  ]);
});

test.each([
  ['[a]', 'registries.yaml:1:1: found a list, expected a table'],
  ['mirror: {}', 'registries.yaml:1:1: mirror: unknown key "mirror", did you mean "mirrors"?'],
  [
    'mirrors:\n  r.example:\n    endpoints: []',
    'registries.yaml:3:5: mirrors["r.example"].endpoints: unknown key "endpoints", did you mean "endpoint"?',
  ],
  [
    'mirrors:\n  r.example:\n    endpoint: m.example',
    'registries.yaml:3:15: mirrors["r.example"].endpoint: found the text "m.example", expected a list',
  ],
  [
    'mirrors: { r.example: { endpoint: [[]] } }',
    'registries.yaml:1:36: mirrors["r.example"].endpoint[0]: found a list, expected a text',
  ],
  ['mirrors: { r.example: { endpoint: ["ftp://m"] } }', 'found "ftp://m", expected an absolute http or https URL'],
  ['mirrors: { r.example: { endpoint: ["m m"] } }', 'found "m m", expected an absolute http or https URL'],
  [
    'mirrors: { r.example: { rewrite: { "(": x } } }',
    'registries.yaml:1:36: mirrors["r.example"].rewrite["("]: found "(", expected an RE2 pattern',
  ],
  [
    'mirrors: { "https://r.example": {} }',
    'registries.yaml:1:12: mirrors["https://r.example"]: expected a registry, host or host:port, or "*"',
  ],
  [
    'mirrors: { docker.io: , index.docker.io: }',
    'registries.yaml:1:25: mirrors["index.docker.io"]: found a duplicate registry',
  ],
  [
    'configs: { r.example: { tls: { insecure_skip_verify: 1 } } }',
    'registries.yaml:1:54: configs["r.example"].tls.insecure_skip_verify: found the number 1, expected true or false',
  ],
  [
    'configs: { r.example: { tls: { cert_file: /c } } }',
    'configs["r.example"].tls.cert_file: found no key_file, expected one for the certificate',
  ],
  [
    'configs: { r.example: { tls: { key_file: /k } } }',
    'configs["r.example"].tls.key_file: found no cert_file, expected one for the key',
  ],
  ['configs: { r.example: { tls: { ca: /k } } }', 'unknown key "ca", expected one of ca_file, cert_file'],
  [
    'configs: { r.example: { auth: { password: hunter2 } } }',
    'auth.password: found a password, expected a username with it',
  ],
  [
    'configs: { r.example: { auth: { auth: hunter2! } } }',
    'auth.auth: found a text that is not shown, expected user:password in base64',
  ],
  [
    'configs: { r.example: { auth: { password: [hunter2] } } }',
    'auth.password: found a value that is not shown, expected a text',
  ],
  ['mirrors: { r.example: { endpoint: ["u:hunter2@m.example"] } }', 'expected a URL without user name and password'],
  [
    'mirrors: { r.example: { endpoint: ["https://m.example?t=hunter2"] } }',
    'expected a URL without query and fragment',
  ],
])('%s is refused', (yaml, expected) => {
  expect(messageOf(yaml)).toContain(expected);
  expect(messageOf(yaml)).not.toContain('hunter2');
});

test('all problems are reported at once', () => {
  expect(messageOf('mirror: {}\nconfigs:\n  r.example:\n    tsl: {}\n')).toBe(
    'Cannot use config file "registries.yaml": 2 problems\n' +
      '  registries.yaml:1:1: mirror: unknown key "mirror", did you mean "mirrors"?\n' +
      '  registries.yaml:4:5: configs["r.example"].tsl: unknown key "tsl", did you mean "tls"?',
  );
});

const valid =
  'mirrors:\n  docker.io: &m\n    endpoint: ["https://m.example/p", localhost:5000]\n    rewrite:\n      "^a/(.*)": "b/$1"\n  "*": *m\nconfigs:\n  m.example:\n    auth: { username: u, password: 1 }\n    tls: { ca_file: ca, insecure_skip_verify: yes }\n';

test('any text is refused or read', () => {
  const check = (text: string): void => {
    const message = messageOf(text);
    if (message !== 'accepted') expect(message).toContain('Cannot use config file "registries.yaml": ');
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  };
  const pieces = fc.constantFrom(
    '"',
    '[',
    ']',
    '{}',
    ': ',
    '\n',
    '  ',
    '- ',
    '*m',
    '&m ',
    '<<',
    '__proto__',
    'polluted',
    'constructor',
    'null',
    '1',
  );
  const mutated = mutationsOf(valid, pieces);
  expect(messageOf(valid)).toBe('accepted');
  fc.assert(fc.property(mutated, check), runs(200));
  fc.assert(fc.property(fc.string({ unit: 'binary' }), check), runs(100));
});

test.each([
  [
    'mirrors',
    (length: number) =>
      `mirrors:\n${Array.from({ length: length / 20 }, (_, index) => `  r${index}: { endpoint: [m] }`).join('\n')}`,
  ],
  [
    'endpoints',
    (length: number) =>
      `mirrors: { r: { endpoint: [${Array.from({ length: length / 10 }, (_, index) => `m${index}.example`).join(', ')}] } }`,
  ],
  [
    'configs',
    (length: number) =>
      `mirrors: { "*": { endpoint: [m] } }\nconfigs:\n${Array.from({ length: length / 20 }, (_, index) => `  r${index}: { tls: { ca_file: /c } }`).join('\n')}`,
  ],
  ['unknown keys', (length: number) => Array.from({ length: length / 10 }, (_, index) => `key${index}: 1`).join('\n')],
])('time grows with the number of %s, not with its square', (_, make) => {
  expectLinear(30_000, (length) => messageOf(make(length)));
});

test('entries of registries that no reference can name are not used, with a warning', () => {
  const yaml =
    'mirrors: { my_registry:5000: {}, "": {} }\nconfigs: { r.example/p: {}, "*.jfrog.io": {}, a.example: { auth: { token: t } } }';
  const { config, warnings } = readRegistriesYaml(yaml, { file: '/etc/registries.yaml' });
  expect(config.credentials).toEqual({ 'a.example': { registryToken: 't' } });
  expect(warnings.filter((text) => text.includes('not used, expected a registry'))).toHaveLength(4);
});
