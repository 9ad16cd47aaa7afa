import { z } from 'zod';

/** More would only let callers keep the server busy; it is far beyond what a person or a password manager makes. */
export const MAX_PASSWORD_BYTES = 1024;

const bytes = (password: string) => Buffer.byteLength(password, 'utf8');
const characters = (password: string) => [...password].length;

/** A password that is only compared: whatever it is, it must not cost too much. */
export const presentedPassword = z
  .string()
  .min(1, 'is required')
  .refine((password) => bytes(password) <= MAX_PASSWORD_BYTES, `must have at most ${MAX_PASSWORD_BYTES} bytes`);

/** Rules for a password to be set: a length in characters, any Unicode, no composition rules (NIST SP 800-63B §3.1.1.2, ASVS 6.2). */
export const newPassword = (minLength: number) =>
  z
    .string()
    .refine((password) => characters(password) >= minLength, `must have at least ${minLength} characters`)
    .refine((password) => bytes(password) <= MAX_PASSWORD_BYTES, `must have at most ${MAX_PASSWORD_BYTES} bytes`);
