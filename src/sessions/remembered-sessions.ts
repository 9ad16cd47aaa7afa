/**
 * How many sessions a replica remembers: their access tokens (1.0 kB each), that they are live and how their users stand (0.45 kB), when they
 * were last active (0.16 kB). One of these without the others would save little, so they have one bound: 80 MB where all of it is in use.
 */
export const REMEMBERED_SESSIONS = 50_000;
