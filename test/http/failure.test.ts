import { expect, test } from 'vitest';
import { RegistryError } from '../../src/errors.ts';
import { causeCode, connectionError } from '../../src/http/failure.ts';
import { failsWith } from '../support/http.ts';

test('what all addresses of a name failed of is told once each, as the runtime leaves the message empty', () => {
  const errors = ['connect ECONNREFUSED ::1:80', 'connect ECONNREFUSED 127.0.0.1:80', 'connect ECONNREFUSED ::1:80'];
  const cause = Object.assign(new AggregateError(errors.map((message) => new Error(message))), {
    code: 'ECONNREFUSED',
  });
  const error = connectionError(cause, 'UNAVAILABLE', 'Cannot reach it');
  expect(error).toEqual(
    failsWith('UNAVAILABLE', { message: `Cannot reach it: ${errors.slice(0, 2).join('; ')}`, cause }),
  );
  expect(causeCode(error)).toBe('ECONNREFUSED');
});

test('any other error is told as it is, one of ours is kept', () => {
  expect(connectionError(new Error('cut'), 'UNEXPECTED_END', 'Cannot read')).toEqual(
    failsWith('UNEXPECTED_END', { message: 'Cannot read: cut' }),
  );
  const own = new RegistryError('UNSAFE_URL', 'no');
  expect(connectionError(own, 'UNAVAILABLE', 'Cannot reach it')).toBe(own);
  expect([causeCode(own), causeCode(new Error('cut', { cause: 'text' }))]).toEqual(['', '']);
});
