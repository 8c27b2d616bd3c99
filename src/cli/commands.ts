import type { Entry } from './command.ts';

/** Commands, under the heading that the help has them under. Each is loaded when it is asked for. */
export const commandGroups: readonly (readonly [heading: string, entries: readonly Entry[]])[] = [
  [
    'Content',
    [
      {
        name: 'pull',
        usage: 'REF DIR',
        summary: 'copy an image or artifact into an OCI layout, going on where an earlier time broke off',
        load: async () => (await import('./pull.ts')).pullCommand,
      },
      {
        name: 'get',
        usage: 'REF@DIGEST',
        summary: 'fetch a blob or manifest by its digest, verified',
        load: async () => (await import('./get.ts')).getCommand,
      },
      {
        name: 'manifest',
        usage: 'REF',
        summary: 'print a manifest or index, byte for byte',
        load: async () => (await import('./manifest.ts')).manifestCommand,
      },
      {
        name: 'config',
        usage: 'REF',
        summary: "print an image's configuration",
        load: async () => (await import('./image-config.ts')).imageConfigCommand,
      },
      {
        name: 'tags',
        usage: 'REPOSITORY',
        summary: 'list the tags of a repository',
        load: async () => (await import('./tags.ts')).tagsCommand,
      },
      {
        name: 'referrers',
        usage: 'REF',
        summary: 'list signatures, SBOMs and whatever else refers to a manifest',
        load: async () => (await import('./referrers.ts')).referrersCommand,
      },
      {
        name: 'ls',
        usage: 'REF [PATH]',
        summary: 'list the files of an image',
        load: async () => (await import('./ls.ts')).lsCommand,
      },
      {
        name: 'cat',
        usage: 'REF PATH',
        summary: 'print one file of an image',
        load: async () => (await import('./cat.ts')).catCommand,
      },
    ],
  ],
  [
    'Layouts',
    [
      {
        name: 'verify',
        usage: 'DIR',
        summary: 'hash everything in an OCI layout again',
        load: async () => (await import('./verify.ts')).verifyCommand,
      },
      {
        name: 'gc',
        usage: 'DIR',
        summary: 'remove from an OCI layout what no entry of its index reaches',
        load: async () => (await import('./gc.ts')).gcCommand,
      },
    ],
  ],
  [
    'Configuration',
    [
      {
        name: 'plan',
        usage: 'REF',
        summary: 'print where a reference would be asked for, in order',
        load: async () => (await import('./plan.ts')).planCommand,
      },
      {
        name: 'doctor',
        usage: 'REF',
        summary: 'ask each host of a plan step by step, and tell what to do about what does not work',
        load: async () => (await import('./doctor.ts')).doctorCommand,
      },
      {
        name: 'config check',
        usage: '[FILE…]',
        summary: 'tell every problem of configuration files',
        load: async () => (await import('./config-check.ts')).configCheckCommand,
      },
      {
        name: 'config show',
        usage: '',
        summary: 'print the merged configuration, secrets struck out',
        load: async () => (await import('./config-show.ts')).configShowCommand,
      },
      {
        name: 'config schema',
        usage: '',
        summary: "print the JSON Schema of ocifetch's own file, for editors",
        load: async () => (await import('./config-schema.ts')).configSchemaCommand,
      },
      {
        name: 'config convert',
        usage: '--to FORMAT [FILE…]',
        summary: 'write the configuration in another format',
        load: async () => (await import('./config-convert.ts')).configConvertCommand,
      },
    ],
  ],
];

export const commands: readonly Entry[] = commandGroups.flatMap(([, entries]) => entries);
