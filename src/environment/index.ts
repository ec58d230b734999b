/**
 * Where a restored homeserver runs. `process`: a namespace of this machine without a way out, by bubblewrap, with an agent
 * inside that starts things and a gate through which only lifeboat comes in. The drill's certificates come from a CA that is
 * made for the drill and dies with it.
 */
export { createProcessEnvironment, type ProcessEnvironmentOptions } from './process/environment.ts';
export { createDrillCa, type DrillCa, type IssuedCertificate } from './ca.ts';
export { restoredPlace } from './process/restored-postgres.ts';
