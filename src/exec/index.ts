/**
 * The only door to child processes. Five kinds of them:
 *   runCommand     short ones, whose few lines of text are wanted when they have ended
 *   streamOut/In   those whose standard output or input is data (pg_dump, pg_restore): the stream fails when the child fails
 *   startService   those that go on
 *   runGroup       other people's, which may start more of their own: they end as a whole
 *   startConversation  those that are spoken with (ssh)
 * Every child gets a minimal environment, a missing program is `command-missing`, and children end when this process does.
 * Secrets come in by environment or file, never in argv: argv is visible to every user of the machine.
 */
export { startConversation, type Conversation } from './conversation.ts';
export { findProgram, requireProgram } from './find-program.ts';
export { runGroup } from './run-group.ts';
export { runCommand, type CommandResult, type RunOptions } from './run-command.ts';
export { startService, type Service, type ServiceOptions } from './service.ts';
export { fromOurEnvironment, leavesHostUnchecked, sshEnvironment, sshSettings } from './ssh-settings.ts';
export { streamIn, streamOut, type StreamOptions } from './stream.ts';
