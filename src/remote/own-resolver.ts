import { z } from 'zod';
import { rootOf } from '../config/document/parts.ts';
import { sameHeaders, urlFault } from '../config/registry-keys.ts';
import type { Endpoint } from '../endpoint.ts';
import { asRegistryError, cannot } from '../errors.ts';
import { formatReference, nameFault, type Repository } from '../oci/reference.ts';
import { firstFault } from '../text/faults.ts';
import { quote } from '../text/quote.ts';
import type { Hosts, Resolver } from './plan.ts';

/** A text that `faultOf` finds nothing wrong with. */
const checked = (faultOf: (text: string) => string | undefined) =>
  z.string('expected a string').superRefine((text, context) => {
    const fault = faultOf(text);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
  });

const texts = z.array(z.string('expected a string'), 'expected a list');
const capability = z.enum(['pull', 'resolve', 'referrers'], 'expected "pull", "resolve" or "referrers"');
const positive = z.number('expected a number').positive('expected a number above 0').optional();
const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
// Not looked into by the schema: a message would show a value, which may be a secret.
const headers = (value: unknown): boolean =>
  isObject(value) && Object.values(value).every((each) => typeof each === 'string');

function onceEach(value: object, context: z.RefinementCtx): void {
  const same = sameHeaders(Object.keys(value));
  if (same) context.addIssue({ code: 'custom', message: `${quote(same[0])} and ${quote(same[1])} are one header` });
}

const schema = z.array(
  z.looseObject(
    {
      url: checked(urlFault),
      repository: checked(nameFault),
      scopes: texts,
      capabilities: z.array(capability, 'expected a list'),
      namespace: z.string('expected a string').optional(),
      headers: z.custom<object>(headers, 'expected an object of strings').superRefine(onceEach).optional(),
      tls: z.custom(isObject, 'expected an object').optional(),
      connectTimeout: positive,
      requestsPerSecond: positive,
      concurrency: positive,
    },
    'expected an endpoint, an object',
  ),
  'expected a list of endpoints',
);

/**
 * What a resolver of the user's own gives, checked: `INVALID_CONFIG` naming what is wrong. A slash at the end of a URL is
 * taken off. What the resolver throws is `INVALID_CONFIG`, too, unless it is a RegistryError.
 */
export function ownHosts(resolver: Resolver, repository: Repository): Hosts {
  const attempted = `use the resolver for ${quote(formatReference(repository))}`;
  let given: unknown;
  try {
    given = resolver(repository);
  } catch (thrown) {
    throw asRegistryError(thrown, 'INVALID_CONFIG', attempted);
  }
  if (isObject(given) && 'then' in given) {
    // Nobody else will hear of its failure.
    Promise.resolve(given).catch(() => {});
    throw cannot('INVALID_CONFIG', attempted, 'it gave a promise, but resolvers are synchronous');
  }
  const parsed = schema.safeParse(given);
  if (!parsed.success) throw cannot('INVALID_CONFIG', attempted, firstFault(parsed.error, given));
  const endpoints = (given as readonly Endpoint[]).map((endpoint) => ({
    ...endpoint,
    url: rootOf({ url: endpoint.url, overridePath: true }),
  }));
  return { endpoints, skipped: [] };
}
