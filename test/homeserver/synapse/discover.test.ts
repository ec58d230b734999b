import { chmod, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { discoverSynapse } from '../../../src/homeserver/synapse/discover.ts';
import { DATABASE, SIGNING_KEY, tree } from './tree.ts';

const FAKE_PYTHON = '#!/bin/sh\necho 1.163.2\n';

async function discover(
  files: Readonly<Record<string, string>>,
  configFiles: readonly string[] = ['homeserver.yaml'],
) {
  const root = await tree({ python: FAKE_PYTHON, ...files });
  await chmod(join(root, 'python'), 0o700);
  const options = {
    configFiles: configFiles.map((path) => join(root, path)),
    program: join(root, 'python'),
    workingDirectory: root,
  };
  return { root, inventory: discoverSynapse(options) };
}

const MINIMAL = {
  'homeserver.yaml': `server_name: a.example\n${DATABASE}`,
  'a.example.signing.key': SIGNING_KEY,
};

describe('discovery of a Synapse', () => {
  it('finds the key at its default place, beside the last configuration file', async () => {
    const { root, inventory } = await discover(MINIMAL);
    expect(await inventory).toMatchObject({
      serverName: 'a.example',
      version: '1.163.2',
      signingKeys: [{ keyId: 'ed25519:a_Kcaf', file: join(root, 'a.example.signing.key') }],
      mediaStorePath: join(root, 'media_store'),
      database: { host: 'db.example', port: 5433, user: 'synapse', database: 'syn' },
      warnings: [],
    });
  });

  it('finds every file that the configuration names, with its role and component', async () => {
    const { root, inventory } = await discover({
      'homeserver.yaml': `server_name: a.example
${DATABASE}signing_key_path: keys/signing.key
log_config: log.yaml
app_service_config_files: [bridge.yaml]
tls_certificate_path: tls.crt
tls_private_key_path: tls.key
federation_custom_ca_list: [ca.pem]
macaroon_secret_key_path: keys/macaroon
templates: {custom_template_directory: templates}
oidc_providers: [{idp_id: x, client_secret_path: keys/oidc}]
`,
      'keys/signing.key': SIGNING_KEY,
      'keys/macaroon': 'macaroon-secret\n',
      'keys/oidc': 'oidc-secret\n',
      'log.yaml': 'version: 1\n',
      'bridge.yaml': 'id: irc\nas_token: as-token-1\nhs_token: hs-token-1\n',
      'tls.crt': 'x',
      'tls.key': 'x',
      'ca.pem': 'x',
      'templates/deep/mail.html': 'x',
    });
    const { files, secrets } = await inventory;
    const listed = files.map(
      ({ path, role, component }) => `${component} ${role} ${path.slice(root.length + 1)}`,
    );
    expect(listed.toSorted()).toEqual([
      'config appservice bridge.yaml',
      'config homeserver-config homeserver.yaml',
      'config log-config log.yaml',
      'config other ca.pem',
      'config other templates/deep/mail.html',
      'config tls-certificate tls.crt',
      'keys secret keys/macaroon',
      'keys secret keys/oidc',
      'keys signing-key keys/signing.key',
      'keys tls-key tls.key',
    ]);
    expect(secrets.map(({ name, value }) => [name, value.reveal()])).toEqual([
      ['macaroon_secret_key', 'macaroon-secret'],
      ['database.args.password', 'database-pass'],
      ['oidc_providers.0.client_secret', 'oidc-secret'],
      ['appservice irc as_token', 'as-token-1'],
      ['appservice irc hs_token', 'hs-token-1'],
    ]);
  });

  it('takes an inline signing key from the configuration itself', async () => {
    const { root, inventory } = await discover({
      'homeserver.yaml': `server_name: a\nsigning_key: "${SIGNING_KEY.trim()}"\n${DATABASE}`,
    });
    const { signingKeys, files } = await inventory;
    expect(signingKeys).toMatchObject([{ keyId: 'ed25519:a_Kcaf', file: join(root, 'homeserver.yaml') }]);
    expect(files).toEqual([
      { path: join(root, 'homeserver.yaml'), role: 'homeserver-config', component: 'config' },
    ]);
  });

  it('recognises worker files beside the configuration, and says which worker has none', async () => {
    const { root, inventory } = await discover({
      ...MINIMAL,
      'homeserver.yaml': `server_name: a.example\n${DATABASE}instance_map: {main: {host: h, port: 1}, w1: {host: h, port: 2}, w2: {host: h, port: 3}}\n`,
      'workers/w1.yaml':
        'worker_app: synapse.app.generic_worker\nworker_name: w1\nworker_log_config: w1.log.yaml\n',
      'w1.log.yaml': 'version: 1\n',
      'unrelated.yaml': 'something: else\n',
      'broken.yaml': '"',
    });
    const { files, warnings } = await inventory;
    expect(
      files.filter(({ role }) => role === 'worker-config' || role === 'log-config').map(({ path }) => path),
    ).toEqual([join(root, 'workers/w1.yaml'), join(root, 'w1.log.yaml')]);
    expect(warnings).toEqual(['no configuration file was found for worker w2']);
  });

  it('keeps a conf.d that was not named, and says so', async () => {
    const { root, inventory } = await discover({
      ...MINIMAL,
      'conf.d/server_name.yaml': 'report_stats: false\n',
    });
    const { files, warnings } = await inventory;
    expect(files).toContainEqual({
      path: join(root, 'conf.d/server_name.yaml'),
      role: 'included-config',
      component: 'config',
    });
    expect(warnings).toEqual([expect.stringContaining('was not named with the configuration files')]);
  });

  it('warns of what it cannot back up: storage providers, modules, an authentication service', async () => {
    const { inventory } = await discover({
      ...MINIMAL,
      'homeserver.yaml': `server_name: a.example\n${DATABASE}media_storage_providers: [{module: s3}]\nmodules: [{module: my.Module}]\nmatrix_authentication_service: {enabled: true}\n`,
    });
    expect((await inventory).warnings).toEqual([
      'media_storage_providers: media that lie only there are not in the backup: s3',
      'Matrix Authentication Service has a database of its own, which is not in the backup',
      'Python modules are not in the backup: my.Module',
    ]);
  });

  it('refuses a configuration without its signing key, before anybody starts a server on it', async () => {
    const { root, inventory } = await discover({
      'homeserver.yaml': `server_name: a.example\n${DATABASE}signing_key_path: gone.key\n`,
    });
    await expect(inventory).rejects.toMatchObject({
      code: 'signing-key-missing',
      message: `${root}/homeserver.yaml:3: there is no signing key at ${root}/gone.key`,
    });
  });

  it('refuses a secret file that is not there, because Synapse would not start either', async () => {
    const { root, inventory } = await discover({
      ...MINIMAL,
      'homeserver.yaml': `server_name: a.example\n${DATABASE}form_secret_path: gone\n`,
    });
    await expect(inventory).rejects.toMatchObject({
      code: 'homeserver-config-invalid',
      message: `${root}/homeserver.yaml:3: form_secret_path names ${root}/gone, which does not exist`,
    });
  });

  it('only warns of a missing certificate: a reverse proxy may have it', async () => {
    const { root, inventory } = await discover({
      ...MINIMAL,
      'homeserver.yaml': `server_name: a.example\n${DATABASE}tls_certificate_path: gone\n`,
    });
    expect((await inventory).warnings).toEqual([
      `${root}/homeserver.yaml:3: tls_certificate_path names ${root}/gone, which does not exist`,
    ]);
  });

  it('refuses a configuration without server name, and a program without Synapse', async () => {
    const nameless = await discover({ 'homeserver.yaml': DATABASE });
    await expect(nameless.inventory).rejects.toMatchObject({
      message: expect.stringContaining('server_name is missing'),
    });
    const { root } = await discover(MINIMAL);
    const options = { configFiles: [join(root, 'homeserver.yaml')], program: '/bin/false' };
    await expect(discoverSynapse(options)).rejects.toMatchObject({
      code: 'homeserver-config-invalid',
      message: '/bin/false cannot import synapse',
    });
  });

  it('lets a key file behind a symbolic link be one, as on NixOS', async () => {
    const root = await tree({ ...MINIMAL, python: FAKE_PYTHON });
    await chmod(join(root, 'python'), 0o700);
    await symlink('a.example.signing.key', join(root, 'link.key'));
    const configFiles = [join(root, 'homeserver.yaml')];
    expect((await discoverSynapse({ configFiles, program: join(root, 'python') })).signingKeys).toHaveLength(
      1,
    );
  });

  it('prints no secret: all values are of type Secret, but for the merged configuration', async () => {
    const { inventory } = await discover(MINIMAL);
    const { merged: _, ...rest } = await inventory;
    expect(inspect(rest, { depth: 9 })).not.toMatch(/database-pass|ka2HRTcF/);
  });
});
