import { hkdfSync } from 'node:crypto';

/**
 * A key of 32 bytes made from a secret, by HKDF (RFC 5869).
 *
 * @param secret hard to guess: everything that the key protects rests on it
 * @param purpose separates one use of a secret from any other; whoever changes what the key is for changes it
 */
export function derivedKey(secret: string, purpose: string): Buffer {
	return Buffer.from(hkdfSync('sha256', secret, '', purpose, 32));
}
