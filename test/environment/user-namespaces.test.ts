import { describe, expect, it } from 'vitest';
import { namespaceHints } from '../../src/environment/process/user-namespaces.ts';

const system = (values: Record<string, string>) => async (file: string) => {
  const value = Object.entries(values).find(([name]) => file.endsWith(`/${name}`))?.[1];
  if (value === undefined) throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
  return await Promise.resolve(`${value}\n`);
};

describe('hints about namespaces', () => {
  it.each([
    ['max_user_namespaces', '0', 'user.max_user_namespaces=15000'],
    ['unprivileged_userns_clone', '0', 'kernel.unprivileged_userns_clone=1'],
    ['apparmor_restrict_unprivileged_userns', '1', 'kernel.apparmor_restrict_unprivileged_userns=0'],
  ])('name the switch that forbids them: %s', async (name, value, setting) => {
    const hints = await namespaceHints(false, system({ [name]: value }));
    expect(hints).toHaveLength(1);
    expect(hints[0]).toContain(`sysctl -w ${setting}`);
  });

  it('say nothing where namespaces are allowed', async () => {
    const allowing = system({ max_user_namespaces: '15000', unprivileged_userns_clone: '1' });
    expect(await namespaceHints(false, allowing)).toEqual([]);
  });
});
