/**
 * What surrounds a job, whichever it is: a lock, so that it runs once at a time; how much it gives way to others; the admin's
 * own programs before it, after it, and when it failed.
 */
export { acquireLock, describeOwner, listLocks, removeLock, type FoundLock, type RunLock } from './lock.ts';
export { runAfterwards, runBefore, type HookContext, type JobEnd } from './hooks.ts';
export { applyPriority } from './priority.ts';
