/**
 * Matrix events as signed objects: what makes an event the one it claims to be, without a homeserver.
 *
 *   event --redact--> redacted form --SHA-256--> reference hash = event id (room version 3 and later)
 *     |                    '--Ed25519--> signatures
 *     '--SHA-256--> content hash, which stands in the event and so is signed
 *
 * Checked against the specification's test vectors and against Synapse's own redaction (test/verify/events, test/e2e).
 * Used on events in a restored database (verify-old-events.ts) and by the federation probe (../probe).
 */
export {
  verifyStoredEvents,
  type StoredEventsOptions,
  type StoredEventsReport,
} from './verify-old-events.ts';
