import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DrillCa } from '../../environment/index.ts';

/** Files, all PEM. */
export interface LabCertificate {
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Writes a certificate for DNS names and addresses, with the authority that others have to trust. */
export async function issueLabCertificate(
  ca: DrillCa,
  directory: string,
  names: readonly string[],
): Promise<LabCertificate> {
  const { certificatePem, keyPem } = await ca.issue(names);
  await mkdir(directory, { recursive: true });
  const files: LabCertificate = {
    caFile: join(directory, 'ca.pem'),
    certificateFile: join(directory, 'tls.pem'),
    keyFile: join(directory, 'tls.key'),
  };
  await writeFile(files.caFile, ca.certificatePem);
  await writeFile(files.certificateFile, certificatePem);
  await writeFile(files.keyFile, keyPem, { mode: 0o600 });
  return files;
}
