import type dns from 'node:dns';
import { expect, test } from 'vitest';
import { bytesBody } from '../../src/body.ts';
import {
  type AddressRules,
  addressOf,
  checkHost,
  classOf,
  guard,
  isAllowed,
  isListed,
  parseTarget,
  reachAfter,
  reachOf,
  ruledLookup,
} from '../../src/http/address.ts';
import { redirects } from '../../src/http/redirects.ts';
import { type AddressPolicy, type HttpResponse, wrap } from '../../src/http/transport.ts';
import { createClient } from '../../src/remote/client.ts';
import { endpointOf, failsWith, failureOf, recording } from '../support/http.ts';

const classes: Readonly<Record<ReturnType<typeof classOf>, readonly string[]>> = {
  public: [
    '8.8.8.8',
    '172.15.0.1',
    '172.32.0.1',
    '192.169.0.1',
    '100.63.0.1',
    '2606:4700::1',
    '64:ff9b::808:808',
    '64:ff9b:1::8.8.8.8',
    '64:ff9b:1:abcd::8.8.8.8',
  ],
  private: [
    '127.0.0.1',
    '127.255.255.254',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.0.1',
    '100.64.0.1',
    '::1',
    'fc00::1',
    'fdff::1',
    'fec0::1',
    '::ffff:127.0.0.1',
    '::ffff:a00:1',
    '64:ff9b::7f00:1',
    '64:ff9b::10.0.0.1',
    '64:ff9b:1::10.0.0.1',
    // 10.0.0.0, if the network's prefix is of 48 bits.
    '64:ff9b:1:a00::8.8.8.8',
  ],
  reserved: [
    '169.254.0.1',
    '169.254.169.254',
    'fe80::1',
    'fe80::1%eth0',
    'febf::1',
    '::ffff:169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::a9fe:a9fe',
    '64:ff9b:1:a9fe:a9:fe00::',
    '64:ff9b:1:a9fe:a9:fe00:808:808',
    '198.18.0.1',
    'fd00:ec2::254',
    'fd20:ce::254',
    '100.100.100.200',
    '168.63.129.16',
    '0.0.0.0',
    '0.1.2.3',
    '::',
    '255.255.255.255',
    '224.0.0.1',
    'ff02::1',
    '240.0.0.1',
    '192.0.2.1',
    '2001:db8::1',
    '2002:7f00:1::',
    '4000::1',
  ],
};

test.each(Object.entries(classes))('addresses that are %s', (expected, addresses) => {
  expect(addresses.map((address) => [address, classOf(address)])).toEqual(
    addresses.map((address) => [address, expected]),
  );
});

test('any policy allows its own and those that are more public', () => {
  const sample = { public: '8.8.8.8', private: '10.0.0.1', reserved: '169.254.169.254' };
  const allowed = (['public', 'private', 'any'] as const).map((policy) =>
    Object.values(sample).map((address) => isAllowed(address, { policy })),
  );
  expect(allowed).toEqual([
    [true, false, false],
    [true, true, false],
    [true, true, true],
  ]);
});

test.each([
  'http://127.0.0.1/',
  'http://127.1/',
  'http://2130706433/',
  'http://0x7f000001/',
  'http://0177.0.0.1/',
  'http://127.0.0.1./',
  'http://%31%32%37.0.0.1/',
  'http://１２７.0.0.1/',
  'http://localhost/',
  'http://LOCALHOST/',
  'http://localhost./',
  'http://a.localhost:8080/',
  'http://[::1]/',
  'http://[0:0::1]:80/',
  'http://[::ffff:7f00:1]/',
  'http://user:secret@127.0.0.1/',
])('%s is this machine', (url) => {
  expect(classOf(addressOf(new URL(url)) ?? '8.8.8.8')).toBe('private');
  expect(() => checkHost({ method: 'GET', url, addresses: 'public' })).toThrow(/^Cannot connect to/);
  expect(() => checkHost({ method: 'GET', url, addresses: 'private' })).not.toThrow();
  expect(() => checkHost({ method: 'GET', url })).not.toThrow();
});

test.each(['http://registry.test/', 'http://localhost.test/', 'http://notlocalhost/', 'http://127.0.0.1.test/'])(
  '%s is a name, whose address only a connection tells',
  (url) => {
    expect(addressOf(new URL(url))).toBeUndefined();
    expect(() => checkHost({ method: 'GET', url, addresses: 'public' })).not.toThrow();
  },
);

test('a host is listed with any port, or with its own', () => {
  const listed = (url: string, ...list: string[]) => isListed(new URL(url), list);
  expect(listed('http://10.0.0.1:5000/', '10.0.0.1')).toBe(true);
  expect(listed('http://10.0.0.1:5000/', '10.0.0.1:5000')).toBe(true);
  expect(listed('http://Storage.corp/', 'STORAGE.corp')).toBe(true);
  expect(listed('https://storage.corp/', 'storage.corp:443')).toBe(true);
  expect(listed('http://storage.corp/', 'storage.corp:80')).toBe(true);
  for (const entry of ['[fd12::1]', 'fd12::1', '[fd12::1]:5000']) {
    expect(listed('http://[fd12::1]:5000/', entry)).toBe(true);
  }
  expect(listed('http://10.0.0.1:5000/', '10.0.0.1:5001', '10.0.0', '0.0.1')).toBe(false);
  expect(listed('https://evil-storage.corp/', 'storage.corp')).toBe(false);
  expect(listed('https://storage.corp/', 'storage.corp:80')).toBe(false);
});

test('a domain is listed for what is below it', () => {
  const listed = (url: string, ...list: string[]) => isListed(new URL(url), list);
  for (const entry of ['.corp', '*.corp', '.storage.CORP', '.storage.corp:9000']) {
    expect(listed('https://a.storage.corp:9000/', entry)).toBe(true);
  }
  expect(listed('https://corp/', '.corp')).toBe(false);
  expect(listed('https://storagecorp/', '.corp', '*.corp')).toBe(false);
  expect(listed('https://a.storage.corp/', '.storage.corp:9000')).toBe(false);
});

test('what a response may refer to follows from who requested it and who sent it', () => {
  const url = 'https://registry.test/';
  const endpoint = endpointOf('https://registry.test/v2');
  const request = { method: 'GET', url };
  const allowPrivate = ['.corp.test'];
  expect(reachOf({ ...request, endpoint })).toEqual({ addresses: 'any' });
  expect(reachOf({ ...request, endpoint: { ...endpoint, allowPrivate } })).toEqual({ addresses: 'any', allowPrivate });
  expect(reachOf({ ...request, endpoint, addresses: 'public' })).toEqual({ addresses: 'public' });
  expect(reachOf(request)).toEqual({ addresses: 'public' });
  expect(reachOf({ ...request, addresses: 'private', allowPrivate })).toEqual({ addresses: 'private', allowPrivate });
  const from = (address?: string): HttpResponse => ({
    status: 307,
    headers: {},
    body: bytesBody(new Uint8Array()),
    url,
    ...(address !== undefined && { address }),
  });
  const after = (addresses: AddressPolicy, address?: string) => reachAfter({ addresses, allowPrivate }, from(address));
  expect(after('any', '8.8.8.8')).toEqual({ addresses: 'public', allowPrivate });
  expect(after('any', '10.0.0.1')).toEqual({ addresses: 'private', allowPrivate });
  expect(after('any', '169.254.1.1')).toEqual({ addresses: 'private', allowPrivate });
  expect(after('any')).toEqual({ addresses: 'public', allowPrivate });
  expect(after('any', 'not an address')).toEqual({ addresses: 'public', allowPrivate });
  expect(after('private', '10.0.0.1')).toEqual({ addresses: 'private', allowPrivate });
  expect(after('public', '10.0.0.1')).toEqual({ addresses: 'public', allowPrivate });
  // Made up for every name, so it says nothing of the registry: only such addresses are allowed besides.
  const madeUp = { addresses: 'public', allowPrivate: [...allowPrivate, '198.18.0.0/15'] };
  expect(after('any', '198.19.255.254')).toEqual(madeUp);
  expect(reachAfter({ addresses: 'any' }, { ...from('198.18.0.7'), url: 'http://198.18.0.7/' })).toEqual({
    addresses: 'private',
  });
});

test('a name may stand for the addresses that are allowed, however many others it has', async () => {
  const lookup = (addresses: readonly string[], rules: AddressRules) => {
    const all = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    const system = ((_name: string, _options: object, callback: (error: null, found: typeof all) => void) =>
      callback(null, all)) as unknown as typeof dns.lookup;
    return new Promise<unknown>((resolve) => {
      ruledLookup(system, rules)?.('storage.test', { all: true }, (error, found) =>
        resolve(error ?? (found as typeof all).map(({ address }) => address)),
      );
    });
  };
  const several = ['10.0.0.5', '93.184.216.34', '169.254.169.254', 'fd12::1', '2606:4700::1'];
  expect(await lookup(several, { policy: 'public' })).toEqual(['93.184.216.34', '2606:4700::1']);
  expect(await lookup(several, { policy: 'private', family: 4 })).toEqual(['10.0.0.5', '93.184.216.34']);
  expect(await lookup(several, { policy: 'public', ranges: ['10.0.0.0/24'], family: 4 })).toEqual([
    '10.0.0.5',
    '93.184.216.34',
  ]);
  expect(await lookup(['::ffff:10.0.0.5'], { policy: 'public', ranges: ['10.0.0.5'] })).toEqual(['::ffff:10.0.0.5']);
  expect(await lookup(['10.0.1.5', 'fd12::1'], { policy: 'public', ranges: ['10.0.0.0/24', '.test'] })).toEqual(
    failsWith('UNSAFE_URL', {
      reason: 'private-address',
      value: '10.0.1.5',
      message:
        'Cannot connect to "storage.test": 10.0.1.5 is not a public address, and allowPrivate does not list "storage.test" or its address',
    }),
  );
});

test('a target has no user information, and its errors no secrets', () => {
  const base = 'https://registry.test/v2/?token=marker';
  expect(parseTarget('https://a:marker@cdn.test/x', base, 'a redirect').href).toBe('https://cdn.test/x');
  for (const text of ['http://a:marker@cdn.test/?x=marker', 'ftp://a:marker@cdn.test/', 'https://marker:x:y/']) {
    const refuse = () => parseTarget(text, base, 'a redirect');
    expect(refuse).toThrow(failsWith('UNSAFE_URL') as Error);
    expect(refuse).toThrow(expect.objectContaining({ message: expect.not.stringContaining('marker') }) as Error);
  }
});

const targets = [
  'https://169.254.169.254/latest',
  'https://10.0.0.1/x',
  'https://127.0.0.1/x',
  'https://localhost/x',
  'https://[::1]/x',
  'https://[::ffff:a9fe:a9fe]/x',
  'https://2852039166/x',
];

test.each(targets)(
  'a redirect of a public host to %s does not reach a transport that checks nothing',
  async (target) => {
    const { transport, log } = recording(({ url }) =>
      url.startsWith('https://registry.test') ? { status: 307, headers: { location: target } } : { body: 'secret' },
    );
    const send = wrap(transport, redirects(), guard());
    const error = await failureOf(send({ method: 'GET', url: 'https://registry.test/v2/a' }));
    expect(error).toEqual(failsWith('UNSAFE_URL'));
    expect(log).toEqual(['GET https://registry.test/v2/a']);
  },
);

test('what the request allows is sent as it is', async () => {
  const { transport, requests } = recording(() => ({}));
  const send = guard()(transport);
  const allowed = [
    { method: 'GET', url: 'http://127.0.0.1:5000/v2/' },
    { method: 'GET', url: 'http://10.0.0.1/v2/', addresses: 'private' as const },
    { method: 'GET', url: 'https://8.8.8.8/', addresses: 'public' as const },
    { method: 'GET', url: 'https://storage.test/', addresses: 'public' as const },
  ];
  for (const request of allowed) await send(request);
  expect(requests).toEqual(allowed);
  const refused = send({ method: 'GET', url: 'http://169.254.169.254/', addresses: 'private' });
  expect(await failureOf(refused)).toEqual(failsWith('UNSAFE_URL'));
});

test('a client guards a transport of its user', async () => {
  const { transport, log } = recording(({ url }) => ({
    status: 307,
    headers: { location: url.includes('169.254') ? '/again' : 'https://169.254.169.254/latest' },
    address: '93.184.215.14',
  }));
  const client = createClient({ transport });
  const digest = `sha256:${'a'.repeat(64)}`;
  expect(await failureOf(client.resolve(`registry.test/app@${digest}`))).toEqual(failsWith('UNSAFE_URL'));
  expect(log.length).toBeGreaterThan(0);
  expect(log.filter((entry) => !entry.includes('https://registry.test/'))).toEqual([]);
  await client.close();
});
