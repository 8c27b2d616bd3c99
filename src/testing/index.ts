export type { TestCompression, TestFile, TestFiles } from './archive.ts';
export type { TestAccess } from './exchange.ts';
export type { AnyFault, Fault, FaultChanges, FaultMatch, TestRequest, TestRequestKind } from './faults.ts';
export type { ServerKeys } from './faulty-server.ts';
export type { BuiltImage, TestContent, TestImage, TestImageContent, TestLayer, TestManifest } from './images.ts';
export type { TestRegistryOptions } from './options.ts';
export { type TestRegistry, testRegistry } from './test-registry.ts';
