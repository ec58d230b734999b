import { EXIT } from '../../core/errors.ts';
import { pgBackRest } from '../../database/index.ts';
import { findSources } from '../../jobs/backup.ts';
import { checkAgainstSource } from '../../jobs/media/sample.ts';
import { verifyEvidence, verifySnapshot } from '../../jobs/verify.ts';
import type { Check } from '../../restore/step.ts';
import { renderCheck } from '../../verify/report/terminal.ts';
import { defineCommand } from '../definition.ts';
import { count } from '../option-values.ts';
import { MEDIA_PLACE, mediaAccessOf, type MediaPlaceFlag } from '../media-place.ts';
import { shortId } from './list.ts';
import { OPENING_WITH_KEY } from './shared-exits.ts';

export const verifyCommand = defineCommand<MediaPlaceFlag & { sample?: number }>({
  name: 'verify',
  job: { name: 'verify', exclusive: false },
  summary: 'check that the content of a snapshot is right',
  description:
    'Reads every byte of a snapshot as a restore would: fetches, decrypts, decompresses and compares it with the manifest. Writes nothing ' +
    'but the result into the log. Needs an identity. Only `drill` shows that the server lives.',
  arguments: [
    { name: '[SNAPSHOT]', description: 'id, its first digits, `latest` (default) or `latest-proven`' },
  ],
  options: [
    MEDIA_PLACE,
    {
      flags: '--sample <N>',
      description:
        'also compare N media files of the snapshot, chosen at random, with the media of the homeserver of this machine',
      parse: count,
    },
  ],
  examples: [
    { command: 'lifeboat verify', meaning: 'The newest snapshot.' },
    { command: 'lifeboat verify 4f2a --identity /media/usb/identity', meaning: 'An older one.' },
  ],
  exits: { ...OPENING_WITH_KEY, failed: 'content is damaged or missing' },
  run: async (input, context) => {
    const { repository, output, signal } = context;
    const opened = await repository();
    const { id } = await opened.resolve(input.arguments[0] ?? 'latest');
    const access = await mediaAccessOf(input.options, context);
    const done: Check[] = [];
    const settings = (await context.configIfAny())?.database.pgbackrest;
    const engine = settings === undefined ? undefined : pgBackRest(settings);
    const checks = async function* () {
      yield* verifySnapshot(opened, id, output.progress, signal, access, engine);
      if (input.options.sample === undefined) return;
      const { media } = await findSources(await context.config());
      yield await checkAgainstSource(media, opened.mediaFiles(id), input.options.sample);
    };
    for await (const check of checks()) {
      signal.throwIfAborted();
      done.push(check);
      output.message('check', { ...check });
      output.printStyled(renderCheck(check, { color: output.color }).join('\n'));
    }
    const evidence = verifyEvidence(id, done);
    await opened.recordEvidence(evidence).catch((error: unknown) => {
      output.warn(
        `the result could not be recorded in the repository: ${error instanceof Error ? error.message : String(error)}`,
      );
    });
    const ok = evidence.result === 'PASS';
    output.message('summary', { command: 'verify', snapshot: id, ok, checks: done.length });
    output.print(ok ? `${shortId(id)} is right` : `${shortId(id)} is DAMAGED`);
    return ok ? EXIT.ok : EXIT.failed;
  },
});
