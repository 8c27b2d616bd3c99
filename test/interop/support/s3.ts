import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { BucketAccess } from '../../../src/server/s3/index.ts';
import type { Cleanup } from './cleanup.ts';
import { freePort, type Running, start } from './process.ts';

/** Real servers of S3 that can be started without anything else. */
export const s3Servers = ['versitygw', 'minio'] as const;

const [user, secret] = ['some-user', 'some-secret'];

/** A server with an empty bucket over a folder of its own. */
export async function startBucket(
  cleanup: Cleanup,
  tool: (typeof s3Servers)[number],
): Promise<{ readonly access: BucketAccess; readonly server: Running; restart(): Promise<void> }> {
  const [folder, port] = [await cleanup.folder(), await freePort()];
  const [address, url] = [`127.0.0.1:${port}`, `http://127.0.0.1:${port}`];
  const args = {
    versitygw: ['--access', user, '--secret', secret, '--port', address, '--quiet', 'posix', folder],
    minio: ['server', '--quiet', '--address', address, folder],
  }[tool];
  const env = {
    ...process.env,
    MINIO_ROOT_USER: user,
    MINIO_ROOT_PASSWORD: secret,
    MINIO_BROWSER: 'off',
    HOME: folder,
  };
  let server = await start(tool, args, { url, env, cwd: folder });
  cleanup.add(() => server.stop());
  const access = { bucket: 'registry', region: 'us-east-1', endpoint: url };
  const credentials = { accessKeyId: user, secretAccessKey: secret };
  const client = new S3Client({ ...access, forcePathStyle: true, credentials: { ...credentials } });
  await client.send(new CreateBucketCommand({ Bucket: access.bucket }));
  client.destroy();
  return {
    access: { ...access, credentials },
    get server() {
      return server;
    },
    restart: async () => {
      server = await start(tool, args, { url, env, cwd: folder });
    },
  };
}
