import { z } from 'zod';
import { sameHeaders, urlProblem } from '../config/registry-keys.ts';
import type { Endpoint } from '../endpoint.ts';
import { asRegistryError, configError } from '../errors.ts';
import { formatReference, nameProblem, type Repository } from '../oci/reference.ts';
import { rootOf } from '../oci/registry.ts';
import { schemaProblems } from '../text/problems.ts';
import { quote } from '../text/quote.ts';
import type { Hosts, Resolver } from './plan.ts';

/**
 * A user's own resolver, its results checked: `INVALID_CONFIG` with everything that is wrong. Slashes at the end of a URL
 * are removed. An error that it throws is the cause of `INVALID_CONFIG`, unless it is a RegistryError.
 */
export const checkResolver =
  (resolver: Resolver) =>
  (repository: Repository): Hosts => {
    const attempted = `use the resolver for ${quote(formatReference(repository))}`;
    let resolved: unknown;
    try {
      resolved = resolver(repository);
    } catch (thrown) {
      throw asRegistryError(thrown, 'INVALID_CONFIG', attempted);
    }
    if (isObject(resolved) && 'then' in resolved) {
      // Otherwise its rejection would be unhandled.
      Promise.resolve(resolved).catch(() => {});
      throw configError(attempted, [{ found: 'found a promise, but resolvers are synchronous' }]);
    }
    const parsed = schema.safeParse(resolved);
    if (!parsed.success) throw configError(attempted, schemaProblems(parsed.error, resolved));
    const endpoints = (resolved as readonly Endpoint[]).map((endpoint) => ({
      ...endpoint,
      url: rootOf({ url: endpoint.url, overridePath: true }),
    }));
    return { endpoints, skipped: [] };
  };

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A text in which `problemOf` finds nothing wrong. */
const checked = (problemOf: (text: string) => string | undefined) =>
  z.string('expected a string').superRefine((text, context) => {
    const message = problemOf(text);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

const texts = z.array(z.string('expected a string'), 'expected a list');
const capability = z.enum(['pull', 'resolve', 'referrers'], 'expected "pull", "resolve" or "referrers"');
const positive = z.number('expected a number').positive('expected a number above 0').optional();

// Checked as a whole: a message with a value could show a secret.
const headers = z
  .custom<object>(
    (value) => isObject(value) && Object.values(value).every((text) => typeof text === 'string'),
    'expected an object of strings',
  )
  .superRefine((value, context) => {
    const same = sameHeaders(Object.keys(value));
    if (same) context.addIssue({ code: 'custom', message: `${quote(same[0])} and ${quote(same[1])} are one header` });
  });

const schema = z.array(
  z.looseObject(
    {
      url: checked(urlProblem),
      repository: checked(nameProblem),
      scopes: texts,
      capabilities: z.array(capability, 'expected a list'),
      namespace: z.string('expected a string').optional(),
      headers: headers.optional(),
      tls: z.custom(isObject, 'expected an object').optional(),
      connectTimeout: positive,
      requestsPerSecond: positive,
      concurrency: positive,
    },
    'expected an endpoint, an object',
  ),
  'expected a list of endpoints',
);
