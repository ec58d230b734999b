/**
 * People in the lab: accounts with devices and keys, rooms, messages and media, made through the client API as clients make
 * them, so that a backup of it holds what a real homeserver holds.
 */
export type { Account, MatrixClient } from './client.ts';
export { bridgeRegistration, fillWorld, moreWorld, type World, type WorldSize } from './world.ts';
export { federationStillWorks, type FederationCheck } from './federation.ts';
export { destroyHomeserver } from './destroy.ts';
