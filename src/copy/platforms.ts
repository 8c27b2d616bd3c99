import { cannot } from '../errors.ts';
import { noPlatformError, platformOf } from '../oci/choose-image.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { bareMediaType, type Manifest, mediaTypes } from '../oci/manifest.ts';
import { machinePlatform, matchesPlatform, type Platform, platformSchema } from '../oci/platform.ts';
import type { PlatformChoice } from './options.ts';

/** The platforms that are meant, or all; `INVALID_REFERENCE` for what is no platform. */
export function wantedPlatforms(choice: PlatformChoice = machinePlatform()): 'all' | readonly Platform[] {
  if (choice === 'all') return choice;
  const list: readonly unknown[] = Array.isArray(choice) ? choice : [choice];
  if (list.length === 0) throw cannot('INVALID_REFERENCE', 'choose a platform', 'the list is empty');
  return list.map(platformOf);
}

const configTypes: ReadonlySet<string> = new Set([mediaTypes.ociConfig, mediaTypes.dockerConfig]);

/** Whether a manifest is an image's, whose config says what it runs on. */
export const isImage = ({ config }: Manifest): boolean => configTypes.has(bareMediaType(config.mediaType));

/** Refuses an image whose config says that it runs on none of the platforms wanted; one that says nothing is taken. */
export function checkConfig(
  bytes: Uint8Array,
  {
    config,
    label,
    wanted,
  }: { readonly config: Descriptor; readonly label: string; readonly wanted: readonly Platform[] },
): void {
  let found: unknown;
  try {
    found = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw cannot('BAD_RESPONSE', `read config "${config.digest}"`, 'not JSON', { cause });
  }
  const parsed = platformSchema.safeParse(found);
  if (!parsed.success || parsed.data.os === '' || wanted.some((one) => matchesPlatform(one, parsed.data))) return;
  const { os, architecture, variant, 'os.version': version, 'os.features': features } = parsed.data;
  const platform = { os, architecture, variant, 'os.version': version, 'os.features': features };
  const [first = platform] = wanted;
  throw noPlatformError(label, first, [platform], { isImage: true });
}
