import { EXIT, LifeboatError } from '../../core/errors.ts';
import { makeKit } from '../../jobs/kit/kit.ts';
import { readIdentities } from '../../jobs/open.ts';
import { defineCommand } from '../definition.ts';
import { EXIT_MEANING } from '../exit.ts';
import { OPENING_WITH_KEY } from './shared-exits.ts';

export const kitCommand = defineCommand<{ output?: string }>({
  name: 'kit',
  summary: 'write a recovery kit to be printed and put away',
  description:
    'Writes a zip with what a restore needs when nothing else is left: a page to be printed, RECOVER.md and recover.sh, the public ' +
    'keys, the sealed data key, where the repository is (without credentials), and what to do in a disaster. With --identity on the ' +
    'command line the kit holds the recovery identity too, as text and QR code, and the public signing keys of the homeserver: then it ' +
    'opens every backup. The file has mode 600, and nothing is written over.',
  arguments: [],
  options: [{ flags: '-o, --output <FILE.zip>', description: 'the new zip' }],
  examples: [
    {
      command: 'lifeboat kit --identity FILE --output /media/usb/kit.zip',
      meaning: 'Everything, for the safe: print kit.html of it.',
    },
    {
      command: 'lifeboat kit --output kit.zip',
      meaning: 'Only what is public, for the folder of the admins.',
    },
  ],
  exits: {
    ...OPENING_WITH_KEY,
    failed: EXIT_MEANING.failed,
    preflightRefused: 'there is such a file already; it is left alone',
  },
  run: async ({ options }, { flags, clock, configIfAny, repository, output }) => {
    if (options.output === undefined)
      throw new LifeboatError('usage', 'kit needs --output FILE.zip', {
        hint: 'Name a new file, best on the medium that is put away.',
      });
    const opened = await repository();
    const copies = (await configIfAny())?.repository.copies ?? [];
    const { file, recipients, signingKeys } = await makeKit({
      repository: opened,
      // Not one that is configured for drills: the file of who asks for a secret kit is named.
      identities: flags.identity === undefined ? [] : await readIdentities(flags.identity),
      copies: copies.map(({ name, path }) => ({ name: `copy ${name}`, place: path })),
      output: options.output,
      clock,
    });
    output.message('summary', {
      command: 'kit',
      repository: opened.id,
      file,
      identities_of: recipients,
      signing_keys: signingKeys,
    });
    output.print(`The recovery kit is in ${file}.`);
    output.print(
      recipients.length > 0
        ? `It holds the recovery identity of ${recipients.join(', ')}, which opens every backup: print kit.html, and put both away from this host.`
        : 'It holds no secret: keep the recovery identity elsewhere, or name it with --identity.',
    );
    if (!signingKeys)
      output.note(
        'the public signing keys of the homeserver are not in it: that takes a snapshot and --identity',
      );
    return EXIT.ok;
  },
});
