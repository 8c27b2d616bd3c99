import { writeYaml } from '../document/yaml.ts';
import type { WrittenFiles } from '../losses.ts';
import type { Config, TlsConfig } from '../model.ts';

/** A part of the model that may have the place of its declaration. */
interface DeclaredPart {
  readonly declaredAt?: string | undefined;
  readonly tls?: TlsConfig | undefined;
}

/** Writes a configuration as ocifetch's own YAML file: the model itself; with `declaredAt` only if requested. */
export function writeOwnConfig(
  { warnings: _, registries = {}, credentials, ...rest }: Config,
  { places = false }: { readonly places?: boolean | undefined } = {},
): WrittenFiles {
  const placed = <Part extends DeclaredPart>({ declaredAt, tls, ...part }: Part) => ({
    ...part,
    ...(tls && { tls: { ...tls, declaredAt: places ? tls.declaredAt : undefined } }),
    ...(places && declaredAt !== undefined && { declaredAt }),
  });
  const kept = Object.entries(registries).map(([key, { mirrors, origin, ...registry }]) => [
    key,
    {
      ...(mirrors && { mirrors: mirrors.map(placed) }),
      ...(origin !== undefined && { origin: origin === 'never' ? origin : placed(origin) }),
      ...placed(registry),
    },
  ]);
  const config = {
    ...(kept.length > 0 && { registries: Object.fromEntries(kept) }),
    ...(typeof credentials === 'object' && Object.keys(credentials).length > 0 && { credentials }),
    ...rest,
  };
  const why = 'it cannot express a program that provides logins';
  const losses = typeof credentials === 'function' ? [{ path: 'credentials', why }] : [];
  return { files: [{ path: 'config.yaml', text: writeYaml(config) }], losses };
}
