import type { Entry } from './command.ts';

/** All commands, by their heading in the help. Each is loaded when it is requested. */
export const commandGroups: readonly (readonly [heading: string, entries: readonly Entry[]])[] = [
  [
    'Content',
    [
      {
        name: 'pull',
        usage: 'REF DIR',
        summary: 'copy an image or artifact into an OCI layout, resuming what broke off',
        load: async () => (await import('./commands/pull.ts')).pullCommand,
      },
      {
        name: 'get',
        usage: 'REF@DIGEST',
        summary: 'fetch a blob or manifest by its digest, verified',
        load: async () => (await import('./commands/get.ts')).getCommand,
      },
      {
        name: 'manifest',
        usage: 'REF',
        summary: 'print a manifest or index, byte for byte',
        load: async () => (await import('./commands/manifest.ts')).manifestCommand,
      },
      {
        name: 'config',
        usage: 'REF',
        summary: "print an image's configuration",
        load: async () => (await import('./commands/image-config.ts')).imageConfigCommand,
      },
      {
        name: 'tags',
        usage: 'REPOSITORY',
        summary: 'list the tags of a repository',
        load: async () => (await import('./commands/tags.ts')).tagsCommand,
      },
      {
        name: 'referrers',
        usage: 'REF',
        summary: 'list signatures, SBOMs and everything else that refers to a manifest',
        load: async () => (await import('./commands/referrers.ts')).referrersCommand,
      },
      {
        name: 'ls',
        usage: 'REF [PATH]',
        summary: 'list the files of an image',
        load: async () => (await import('./commands/ls.ts')).lsCommand,
      },
      {
        name: 'cat',
        usage: 'REF PATH',
        summary: 'print one file of an image',
        load: async () => (await import('./commands/cat.ts')).catCommand,
      },
    ],
  ],
  [
    'Layouts',
    [
      {
        name: 'verify',
        usage: 'DIR',
        summary: 'hash all content of an OCI layout again',
        load: async () => (await import('./commands/verify.ts')).verifyCommand,
      },
      {
        name: 'gc',
        usage: 'DIR',
        summary: 'remove content from an OCI layout that no entry of its index reaches',
        load: async () => (await import('./commands/gc.ts')).gcCommand,
      },
    ],
  ],
  [
    'Servers',
    [
      {
        name: 'serve',
        usage: '[DIR]',
        summary: 'run a registry, a pull-through mirror, or a front that redirects',
        load: async () => (await import('./serve/serve.ts')).serveCommand,
      },
    ],
  ],
  [
    'Configuration',
    [
      {
        name: 'plan',
        usage: 'REF',
        summary: 'print the hosts that would be contacted for a reference, in order',
        load: async () => (await import('./commands/plan.ts')).planCommand,
      },
      {
        name: 'doctor',
        usage: 'REF',
        summary: 'examine each host of a plan step by step, and say how to fix what does not work',
        load: async () => (await import('./doctor/doctor.ts')).doctorCommand,
      },
      {
        name: 'config check',
        usage: '[FILE…]',
        summary: 'report every problem of configuration files',
        load: async () => (await import('./commands/config-check.ts')).configCheckCommand,
      },
      {
        name: 'config show',
        usage: '',
        summary: 'print the merged configuration without secrets',
        load: async () => (await import('./commands/config-show.ts')).configShowCommand,
      },
      {
        name: 'config schema',
        usage: '',
        summary: "print the JSON Schema of ocifetch's own file, for editors",
        load: async () => (await import('./commands/config-schema.ts')).configSchemaCommand,
      },
      {
        name: 'config convert',
        usage: '--to FORMAT [FILE…]',
        summary: 'write the configuration in another format',
        load: async () => (await import('./commands/config-convert.ts')).configConvertCommand,
      },
    ],
  ],
];

export const commands: readonly Entry[] = commandGroups.flatMap(([, entries]) => entries);
