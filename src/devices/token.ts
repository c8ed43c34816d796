import { createHash } from 'node:crypto';
import {
  type Credential,
  credentialText,
  isOneTimeCode,
  newOneTimeCode,
  parseCredential,
} from '../core/credential.ts';

const DEVICE = 'lmd';
const PAIRING = 'lmp';

/** Whether a bearer credential claims to be a device's; nothing is said of its being one. */
export function isOfDevice(credential: string): boolean {
  return credential.startsWith(`${DEVICE}_`);
}

/** The text of a device's token `lmd_<device id>_<secret><checksum>`: shown once, never stored. */
export function deviceToken(parts: Credential): string {
  return credentialText(DEVICE, parts);
}

/** Reads a device's token; undefined when it is none, which costs no query. */
export function parseDeviceToken(text: string): Credential | undefined {
  return parseCredential(DEVICE, text);
}

/** A new pairing code `lmp_<secret><checksum>`. */
export function newPairingCode(): string {
  return newOneTimeCode(PAIRING);
}

/** Whether a text has a pairing code's shape and checksum. */
export function isPairingCode(text: string): boolean {
  return isOneTimeCode(PAIRING, text);
}

/**
 * What is stored of a secret: its SHA-256. Secrets of 190 random bits cannot be guessed from it,
 * so that a slow hash would only make a counter wait.
 */
export function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
