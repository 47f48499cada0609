import { createHash, generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';

/** One entry of a token's `access` claim: https://distribution.github.io/distribution/spec/auth/jwt/ */
export interface Access {
	type: string;
	name: string;
	actions: string[];
	/** The name that was asked for, where the API has resolved it to another. */
	alias?: string;
}

export interface TokenSigner {
	privateKey: KeyObject;
	publicKey: KeyObject;
	keyId: string;
	issuer: string;
	/** The registry's name: `aud` of every token and `service` of every challenge. */
	service: string;
	sign(access: Access[], options?: SignOptions): Promise<string>;
	/** Signs with a new key from now on. */
	rotate(): void;
}

export interface SignOptions {
	subject?: string | undefined;
	/** Seconds, from now. */
	lifetime?: number | undefined;
	/** Another registry than the signer's own. */
	audience?: string | undefined;
}

/** The balena API's tokens are good for four hours. */
export const TOKEN_LIFETIME = 14_400;

/** Makes a new key pair and what signs the API's registry tokens with it: ES256, as the real API does. */
export function createTokenSigner(issuer: string, service: string): TokenSigner {
	const signer: TokenSigner = {
		...newKey(),
		issuer,
		service,
		rotate: () => void Object.assign(signer, newKey()),
		async sign(access, { subject = '', lifetime = TOKEN_LIFETIME, audience = service } = {}) {
			const now = Math.floor(Date.now() / 1000);
			return await new SignJWT({
				jti: randomUUID(),
				nbf: now - 10,
				access: access.map((entry) => ({ ...entry })),
				iat: now,
				exp: now + lifetime,
				aud: audience,
				iss: issuer,
				sub: subject,
			})
				.setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: signer.keyId })
				.sign(signer.privateKey);
		},
	};
	return signer;
}

function newKey(): Pick<TokenSigner, 'privateKey' | 'publicKey' | 'keyId'> {
	const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
	return { privateKey, publicKey, keyId: libtrustKeyId(publicKey) };
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/**
 * The `kid` by which distribution 2 finds a key among its trusted certificates: 240 bits of the SHA-256 of the public key's DER, in base32, in
 * groups of four.
 */
function libtrustKeyId(publicKey: KeyObject): string {
	const hash = createHash('sha256')
		.update(publicKey.export({ type: 'spki', format: 'der' }))
		.digest()
		.subarray(0, 30);
	const bits = [...hash].map((byte) => byte.toString(2).padStart(8, '0')).join('');
	const text = bits
		.match(/.{5}/g)!
		.map((group) => BASE32[Number.parseInt(group, 2)])
		.join('');
	return text.match(/.{4}/g)!.join(':');
}
