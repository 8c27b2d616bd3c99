import { expect, test } from 'vitest';
import { parseCloudRanges } from '../../../src/server/redirect/cloud-ranges.ts';
import { failsWith } from '../../support/http.ts';

const amazon = {
  syncToken: '1649878400',
  createDate: '2022-04-13-19-33-20',
  prefixes: [
    { ip_prefix: '3.5.140.0/22', region: 'ap-northeast-2', service: 'AMAZON', network_border_group: 'ap-northeast-2' },
    { ip_prefix: '15.230.39.60/32', region: 'GLOBAL', service: 'EC2', network_border_group: 'GLOBAL' },
  ],
  ipv6_prefixes: [
    { ipv6_prefix: '2a05:d07a:a000::/40', region: 'eu-south-1', service: 'S3', network_border_group: 'eu-south-1' },
  ],
};
const google = {
  syncToken: '1678334702365',
  creationTime: '2023-03-08T20:05:02.365608',
  prefixes: [
    { ipv4Prefix: '34.80.0.0/15', service: 'Google Cloud', scope: 'asia-east1' },
    { ipv6Prefix: '2600:1900:4180::/44', service: 'Google Cloud', scope: 'us-west4' },
  ],
};
const tag = (name: string, region: string, addressPrefixes: readonly string[]) => ({
  name,
  id: name,
  properties: { changeNumber: 1, region, regionId: 1, platform: 'Azure', systemService: '', addressPrefixes },
});
const microsoft = {
  changeNumber: 1,
  cloud: 'Public',
  values: [
    tag('AzureCloud', '', ['4.0.0.0/8']),
    tag('AzureCloud.eastus', 'eastus', ['4.156.0.0/15', '2603:1030:210::/48']),
    tag('Storage.EastUS', 'eastus', ['20.38.98.0/24']),
  ],
};

test('the published files of three clouds are read, and a list of ranges', () => {
  expect(parseCloudRanges(JSON.stringify(amazon))).toEqual([
    { prefix: '3.5.140.0/22', cloud: 'AWS', region: 'ap-northeast-2' },
    { prefix: '15.230.39.60/32', cloud: 'AWS', region: 'GLOBAL' },
    { prefix: '2a05:d07a:a000::/40', cloud: 'AWS', region: 'eu-south-1' },
  ]);
  expect(parseCloudRanges(JSON.stringify(google))).toEqual([
    { prefix: '34.80.0.0/15', cloud: 'GCP', region: 'asia-east1' },
    { prefix: '2600:1900:4180::/44', cloud: 'GCP', region: 'us-west4' },
  ]);
  expect(parseCloudRanges(JSON.stringify(microsoft))).toEqual([
    { prefix: '4.156.0.0/15', cloud: 'Azure', region: 'eastus' },
    { prefix: '2603:1030:210::/48', cloud: 'Azure', region: 'eastus' },
  ]);
  const own = [{ prefix: '192.0.2.0/24', cloud: 'ours', region: 'cellar' }];
  expect(parseCloudRanges(JSON.stringify(own))).toEqual(own);
});

test.each([
  ['not JSON', 'found what is not JSON, expected the address ranges of a cloud'],
  ['{}', 'found no list of prefixes, expected the address ranges of a cloud'],
  ['5', 'found no list of prefixes, expected the address ranges of a cloud'],
  ['null', 'found no list of prefixes, expected the address ranges of a cloud'],
  ['{"prefixes":[]}', 'found no prefix, expected at least one'],
  ['[]', 'found no prefix, expected at least one'],
  ['{"prefixes":[{"ipv4Prefix":"34.80.0.0/150","scope":"x"}]}', 'found "prefixes.0.ipv4Prefix" that cannot be read'],
  ['{"prefixes":[],"ipv6_prefixes":[{"ipv6_prefix":"x","region":"y"}]}', '"ipv6_prefixes.0.ipv6_prefix"'],
  ['{"values":[{"name":"AzureCloud.x","properties":{}}]}', '"values.0.properties.region"'],
  ['[{"prefix":"10.0.0.0/8","cloud":"x"}]', '"0.region"'],
])('%s is refused, with the name of the file', (text, found) => {
  expect(() => parseCloudRanges(text, 'ranges.json')).toThrow(
    failsWith('INVALID_CONFIG', {
      problems: [expect.objectContaining({ file: 'ranges.json', found: expect.stringContaining(found) })],
    }),
  );
});
