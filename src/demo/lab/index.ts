/**
 * A lab: a real PostgreSQL and real Synapses that federate over TLS, all on loopback and all thrown away afterwards. The
 * demo and the end-to-end tests live on it. Servers end with the process that started them, however that ends.
 */
export { freePorts } from './free-port.ts';
export { synapsePython } from './installed.ts';
export { startPostgres, type LabPostgres } from './postgres.ts';
export { runSynapse, type RunSynapseOptions } from './run-synapse.ts';
export { startSynapse, type LabSynapse, type LabSynapseOptions } from './synapse.ts';
