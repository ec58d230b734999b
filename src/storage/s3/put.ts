import { createHash } from 'node:crypto';
import { PutObjectCommand, type PutObjectCommandInput } from '@aws-sdk/client-s3';
import type { ObjectLock, S3StoreOptions } from './client.ts';

/**
 * One PutObject that creates or does nothing. The SHA-256 of the body is hashed once and told twice: for the signature
 * (`x-amz-content-sha256`), which every server verifies, and as the checksum that S3 keeps with the object.
 */
export function putCommand(
  { Bucket, Key }: { readonly Bucket: string; readonly Key: string },
  body: Uint8Array,
  { checksums, objectLock }: Pick<S3StoreOptions, 'checksums' | 'objectLock'>,
): PutObjectCommand {
  const sha256 = createHash('sha256').update(body).digest();
  const input: PutObjectCommandInput = {
    Bucket,
    Key,
    Body: body,
    ContentLength: body.length,
    ContentType: 'application/octet-stream',
    IfNoneMatch: '*',
  };
  if (checksums !== 'required') input.ChecksumSHA256 = sha256.toString('base64');
  // S3 takes no object with a retention date without one of the two.
  else if (objectLock !== undefined) input.ContentMD5 = createHash('md5').update(body).digest('base64');
  if (objectLock !== undefined) {
    input.ObjectLockMode = lockMode(objectLock);
    input.ObjectLockRetainUntilDate = retainUntil(objectLock.days);
  }
  const command = new PutObjectCommand(input);
  command.middlewareStack.add(
    (next) => async (args) => {
      const { headers } = args.request as { headers: Record<string, string> };
      headers['x-amz-content-sha256'] = sha256.toString('hex');
      return await next(args);
    },
    { step: 'build', name: 'bodyHash' },
  );
  return command;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** S3's word for it. */
export function lockMode({ mode }: ObjectLock): 'COMPLIANCE' | 'GOVERNANCE' {
  return mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE';
}

export function retainUntil(days: number): Date {
  return new Date(Date.now() + days * DAY_MS);
}
