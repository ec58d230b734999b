export const REPOSITORY = 'a'.repeat(32);
