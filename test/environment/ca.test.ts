import { createServer, connect, type TLSSocket } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createDrillCa } from '../../src/environment/index.ts';

describe('the drill CA', () => {
  it('issues certificates that TLS accepts for their names and addresses, and for no other', async () => {
    const ca = await createDrillCa();
    const { certificatePem, keyPem } = await ca.issue(['example.com', '127.0.0.1']);
    const certificate = new X509Certificate(certificatePem);
    expect(certificate.verify(new X509Certificate(ca.certificatePem).publicKey)).toBe(true);
    expect(certificate.checkHost('example.com')).toBe('example.com');
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.checkHost('other.example')).toBeUndefined();
    const server = createServer({ cert: certificatePem, key: keyPem }, (socket) => socket.end('hello'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const port = (server.address() as { port: number }).port;
    const secure = await new Promise<TLSSocket>((resolve, reject) => {
      const socket = connect(
        { port, host: '127.0.0.1', servername: 'example.com', ca: ca.certificatePem },
        () => resolve(socket),
      );
      socket.once('error', reject);
    });
    expect(secure.authorized).toBe(true);
    secure.destroy();
    server.close();
  });

  it('is not trusted by the certificates of another drill', async () => {
    const [one, other] = [await createDrillCa(), await createDrillCa()];
    const { certificatePem } = await one.issue(['example.com']);
    expect(
      new X509Certificate(certificatePem).verify(new X509Certificate(other.certificatePem).publicKey),
    ).toBe(false);
  });
});
