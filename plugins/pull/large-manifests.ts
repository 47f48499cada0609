import type { FastifyReply } from 'fastify';
import { Readable } from 'node:stream';
import { FairQueue } from '../../src/fair-queue.ts';
import { onClose } from '../../src/on-close.ts';
import { PassingMap } from '../../src/passing-map.ts';
import type { Manifest } from '../../src/registry/manifest.ts';

/**
 * What fits into the kernel's buffers of a connection at once (tcp_wmem, tcp(7)): nothing of it stays in the process, whether it
 * is read or not.
 */
const SMALL_BYTES = 16 * 1024;
/**
 * Manifests that are on their way to clients, or from the registry: a client has half of it, and what does not fit is streamed
 * with back-pressure.
 */
const MAX_BYTES = 32 * 1024 * 1024;
const PIECE_BYTES = 64 * 1024;

/**
 * The bytes of manifests that clients have not taken yet, in one budget for all, shared by client:
 * docs/decisions/0007-cost-fairness-memory.md.
 */
export class LargeManifests {
	readonly #bytes = new FairQueue({ capacity: MAX_BYTES, queue: 0, refusal: () => new Error('never') });
	/** Those that are on their way, by digest, and to how many: one buffer each, whoever asks. */
	readonly #shared = new PassingMap<{ bytes: Buffer; owner: string; holders: number }>();

	/**
	 * Takes what a manifest's bytes need until an answer has ended.
	 *
	 * @param isVerified whether they hash to its digest: any others are of the one answer alone
	 * @param client whose share it is of, as `FairQueue` has it
	 * @returns the bytes to `send`, of one buffer for a digest; undefined where it would be too much at the moment
	 */
	hold(manifest: Manifest, isVerified: boolean, client: string, reply: FastifyReply): Buffer | undefined {
		const { bytes, digest } = manifest;
		const size = bytes.length;
		if (size <= SMALL_BYTES) {
			return bytes;
		}
		let shared = isVerified ? this.#shared.get(digest) : undefined;
		if (shared === undefined) {
			if (!this.take(client, size)) {
				return undefined;
			}
			shared = { bytes, owner: client, holders: 0 };
			if (isVerified) {
				this.#shared.set(digest, shared);
			}
		}
		const own = shared;
		own.holders++;
		onClose(reply.raw, () => {
			if (--own.holders === 0) {
				if (isVerified) {
					this.#shared.delete(digest);
				}
				this.give(own.owner, size);
			}
		});
		return own.bytes;
	}

	/** Sends bytes that are held. */
	send(bytes: Buffer, reply: FastifyReply): void {
		if (bytes.length <= SMALL_BYTES) {
			reply.send(bytes);
		} else {
			reply.header('content-length', bytes.length).send(inPieces(bytes));
		}
	}

	/** @returns the verified bytes of a manifest that is on its way to others already */
	bytesOf(digest: string): Buffer | undefined {
		return this.#shared.get(digest)?.bytes;
	}

	/** @returns whether there is room for so many bytes; they are the client's until `give` */
	take(client: string, size: number): boolean {
		return this.#bytes.take(client, size);
	}

	give(client: string, size: number): void {
		this.#bytes.release(client, size);
	}
}

/** With back-pressure: TLS would make a copy of all that it is given. */
function inPieces(bytes: Buffer): Readable {
	let at = 0;
	return new Readable({
		read() {
			this.push(at < bytes.length ? bytes.subarray(at, (at += PIECE_BYTES)) : null);
		},
	});
}
