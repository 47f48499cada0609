import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { derivedKey } from './derived-key.ts';

/*
 * Credentials that travel inside a client's own token, so that any replica can act for its holder when the tag, and with it the
 * release, becomes known. AES-256-GCM, RFC 5116; the key comes from TOKEN_SECRET by HKDF, RFC 5869.
 */

/** What is sealed: whose credentials, for which fleets, until when. */
export interface Sealed {
	/** The caller's `Authorization` header. */
	authorization: string;
	/** Slugs of the fleets for which this proxy may use it, or `<block>-*` for those of a block. */
	slugs: string[];
	/** Milliseconds since the epoch. */
	expiresAt: number;
}

const CIPHER = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** Separates this use of the secret from any other; changing the format means changing it. */
const PURPOSE = 'open-balena-registry-proxy sealed credentials 1';

/** @returns the key for `seal` and `unseal`. The secret has to be hard to guess: everything rests on it. */
export function sealingKey(secret: string): Buffer {
	return derivedKey(secret, PURPOSE);
}

/** @returns base64url text that only holders of the key can read or make */
export function seal(content: Sealed, key: Buffer): string {
	const iv = randomBytes(IV_BYTES);
	const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES });
	const encrypted = Buffer.concat([cipher.update(JSON.stringify(content)), cipher.final()]);
	return Buffer.concat([iv, cipher.getAuthTag(), encrypted]).toString('base64url');
}

/** @returns what was sealed; undefined where the text is forged, or made with another key */
export function unseal(text: string, key: Buffer): Sealed | undefined {
	const bytes = Buffer.from(text, 'base64url');
	if (bytes.length <= IV_BYTES + TAG_BYTES) {
		return undefined;
	}
	try {
		const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
		decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
		const plain = Buffer.concat([decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]);
		// Authenticated, so it is exactly what `seal` was given.
		return JSON.parse(plain.toString()) as Sealed;
	} catch {
		return undefined;
	}
}

/** @returns whether sealed credentials may be used for a fleet. @param now milliseconds since the epoch */
export function mayUse({ slugs, expiresAt }: Sealed, slug: string, now: number): boolean {
	return slugs.includes(slug) && now < expiresAt;
}
