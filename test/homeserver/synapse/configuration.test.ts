import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listAt, readConfiguration, stringAt } from '../../../src/homeserver/synapse/configuration.ts';
import { tree } from './tree.ts';

describe('the configuration of Synapse', () => {
  it('is merged per top-level key: the last file wins, and nothing is merged deeper', async () => {
    const root = await tree({
      'homeserver.yaml': 'server_name: a.example\nemail: {smtp_host: one, smtp_port: 25}\n',
      'later.yaml': 'email: {smtp_host: two}\n',
    });
    const { merged } = await readConfiguration([join(root, 'homeserver.yaml'), join(root, 'later.yaml')]);
    expect(merged).toEqual({ server_name: 'a.example', email: { smtp_host: 'two' } });
  });

  it('reads a directory as its .yaml files in sorted order', async () => {
    const root = await tree({
      'h.yaml': 'a: 0\n',
      'conf.d/20.yaml': 'a: 2\n',
      'conf.d/10.yaml': 'a: 1\n',
      'conf.d/30.yml': 'a: 3\n',
    });
    const { merged, files, directory } = await readConfiguration([
      join(root, 'h.yaml'),
      join(root, 'conf.d'),
    ]);
    expect(merged).toEqual({ a: 2 });
    expect(files).toEqual(['h.yaml', 'conf.d/10.yaml', 'conf.d/20.yaml'].map((path) => join(root, path)));
    expect(directory).toBe(join(root, 'conf.d'));
  });

  it('is YAML 1.1 as PyYAML reads it: yes is true, equal keys are allowed, << merges', async () => {
    const root = await tree({
      'h.yaml': 'tls: yes\nname: one\nname: two\nbase: &b {x: 1}\nmore: {<<: *b, z: 2}\n',
    });
    const { merged } = await readConfiguration([join(root, 'h.yaml')]);
    expect(merged).toMatchObject({ tls: true, name: 'two', more: { x: 1, z: 2 } });
  });

  it('ignores an empty file, as Synapse does', async () => {
    const root = await tree({ 'h.yaml': 'server_name: a\n', 'empty.yaml': '# nothing\n' });
    expect((await readConfiguration([join(root, 'h.yaml'), join(root, 'empty.yaml')])).merged).toEqual({
      server_name: 'a',
    });
  });

  it('says file, line and field of a value of the wrong type, not the value', async () => {
    const root = await tree({ 'h.yaml': 'server_name: a\n\nmedia_store_path: [verysecretvalue]\n' });
    const configuration = await readConfiguration([join(root, 'h.yaml')]);
    const read = () => stringAt(configuration, 'media_store_path');
    expect(read).toThrow(expect.objectContaining({ code: 'homeserver-config-invalid' }));
    expect(read).toThrow(`${join(root, 'h.yaml')}:3: media_store_path must be a string`);
    expect(() => listAt(configuration, 'server_name')).toThrow('server_name must be a list');
  });

  it('says where a file is no YAML, without quoting it', async () => {
    const root = await tree({ 'h.yaml': 'server_name: a\npepper: "verysecretvalue\n' });
    const read = readConfiguration([join(root, 'h.yaml')]);
    await expect(read).rejects.toMatchObject({
      code: 'homeserver-config-invalid',
      message: expect.stringMatching(/h\.yaml:\d+:\d+ not valid YAML/),
    });
    await expect(read).rejects.not.toMatchObject({ message: expect.stringContaining('verysecretvalue') });
  });

  it('names a file that is not there', async () => {
    await expect(readConfiguration(['/nowhere/homeserver.yaml'])).rejects.toMatchObject({
      code: 'homeserver-config-invalid',
      message: '/nowhere/homeserver.yaml does not exist',
    });
  });
});
