import { Transform, type TransformCallback } from 'node:stream';

/** A part of a body: positions of its first and its last byte. */
export interface Part {
	first: number;
	last: number;
}

/**
 * The part that a request asks for: RFC 9110 section 14.1.2, with one range, which is all that clients of registries ask for.
 *
 * @param range the `Range` header
 * @param length of the whole body, in bytes
 * @returns "unsatisfiable" where the body has no such part; undefined where nothing, or nothing that is understood, is asked for
 */
export function askedPart(range: string | undefined, length: number): Part | 'unsatisfiable' | undefined {
	const match = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(range ?? '');
	const [, from = '', to = ''] = match ?? [];
	if (match === null || (from === '' && to === '') || (from !== '' && to !== '' && Number(to) < Number(from))) {
		return undefined;
	}
	const first = from === '' ? Math.max(0, length - Number(to)) : Number(from);
	const last = from === '' || to === '' ? length - 1 : Math.min(Number(to), length - 1);
	return first > last ? 'unsatisfiable' : { first, last };
}

/** Passes a part of a body on, and ends when it has it. Emits "begin" when what is before it has been skipped. */
export class PartOfBody extends Transform {
	readonly #part: Part;
	#position = 0;
	#hasBegun = false;

	constructor(part: Part) {
		super();
		this.#part = part;
	}

	override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
		const { first, last } = this.#part;
		const from = Math.max(0, first - this.#position);
		const to = Math.max(0, last + 1 - this.#position);
		this.#position += chunk.length;
		if (from < chunk.length && to > from) {
			if (!this.#hasBegun) {
				this.#hasBegun = true;
				this.emit('begin');
			}
			this.push(chunk.subarray(from, to));
		}
		if (this.#position > last) {
			this.push(null);
		}
		done();
	}
}
