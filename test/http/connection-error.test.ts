import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { RegistryError } from '../../src/errors.ts';
import { causeCode, connectionError } from '../../src/http/connection-error.ts';
import { failsWith } from '../support/http.ts';

test('the errors of all addresses of a name are reported once each, as the runtime leaves the message empty', () => {
  const errors = ['connect ECONNREFUSED ::1:80', 'connect ECONNREFUSED 127.0.0.1:80', 'connect ECONNREFUSED ::1:80'];
  const cause = Object.assign(new AggregateError(errors.map((message) => new Error(message))), {
    code: 'ECONNREFUSED',
  });
  const error = connectionError(cause, 'UNAVAILABLE', 'reach', 'http://a.test/x');
  expect(error).toEqual(
    failsWith('UNAVAILABLE', { message: `Cannot reach "http://a.test/x": ${errors.slice(0, 2).join('; ')}`, cause }),
  );
  expect(causeCode(error)).toBe('ECONNREFUSED');
});

test('an error of another realm is read as one of this', () => {
  const cause: unknown = runInNewContext('new AggregateError([new Error("connect ECONNREFUSED ::1:80"), "text"])');
  expect(connectionError(cause, 'UNAVAILABLE', 'reach', 'http://a.test/x')).toEqual(
    failsWith('UNAVAILABLE', { message: 'Cannot reach "http://a.test/x": connect ECONNREFUSED ::1:80; text' }),
  );
});

test('any other error is reported as it is, and one of this package is kept', () => {
  expect(connectionError(new Error('cut'), 'UNEXPECTED_END', 'read', 'http://a.test/x')).toEqual(
    failsWith('UNEXPECTED_END', { message: 'Cannot read "http://a.test/x": cut' }),
  );
  const own = new RegistryError('UNSAFE_URL', 'no');
  expect(connectionError(own, 'UNAVAILABLE', 'reach', 'http://a.test/x')).toBe(own);
  expect([causeCode(own), causeCode(new Error('cut', { cause: 'text' }))]).toEqual(['', '']);
});

const coded = (code: string, message: string, more: object = {}): Error =>
  Object.assign(new Error(message), { code, ...more });

test.each<[Error, string]>([
  [
    coded(
      'ERR_SSL_WRONG_VERSION_NUMBER',
      '804C:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../deps/ssl3_record.c:350:\n',
    ),
    'it does not speak TLS',
  ],
  [
    coded('EPROTO', 'write EPROTO 80:error:0A0000C6:SSL routines::packet length too long:a.c:1:\n'),
    'it does not speak TLS',
  ],
  [
    coded(
      'EPROTO',
      'write EPROTO 80:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure:a.c:1:\n',
    ),
    'TLS failed: sslv3 alert handshake failure',
  ],
  [coded('CERT_HAS_EXPIRED', 'certificate has expired'), 'its certificate has expired'],
  [coded('CERT_NOT_YET_VALID', 'certificate is not yet valid'), 'its certificate is not valid yet'],
  [
    coded('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate'),
    'its certificate is not signed by a trusted authority (self-signed certificate); tls.ca of this host takes the certificate of its authority',
  ],
  [
    coded('ERR_TLS_CERT_ALTNAME_INVALID', 'long', {
      reason: "Host: a.test. is not in the cert's altnames: DNS:b.test",
    }),
    "its certificate is for other names: Host: a.test. is not in the cert's altnames: DNS:b.test",
  ],
  [new Error('one\r\n two\u001b[31m \n'), 'one two [31m'],
  [new Error('a'.repeat(5_000)), `${'a'.repeat(300)}…`],
])('%o is reported in plain words on one line, and is the cause', (cause, found) => {
  const error = connectionError(cause, 'UNAVAILABLE', 'reach', 'http://a.test/x');
  expect(error).toMatchObject({ code: 'UNAVAILABLE', message: `Cannot reach "http://a.test/x": ${found}` });
  const { code, message } = cause as NodeJS.ErrnoException;
  expect(error.cause).toMatchObject({ ...(code !== undefined && { code }), message: message.replace(/\p{Cc}/gu, ' ') });
});
