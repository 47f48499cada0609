/** Somebody who wants a part of what is scarce. */
export interface Place {
	/** What stands for the client in shares; empty for the service's own business, which has no share of its own to keep to. */
	client: string;
	/** How much is wanted. */
	units: number;
	/** Known names and logins go before what nobody asked for until now. */
	isKnown: boolean;
	/** Called when the units are given, at once or later; they have to be given back with `release`. */
	onTurn(): void;
	/** Called instead where there is no room to wait in, or the wait was too long. */
	onRefused(error: Error): void;
}

export interface FairQueueOptions {
	/** Units there are. */
	capacity: number;
	/** What those are told who are refused. */
	refusal: () => Error;
	/** How many may wait. */
	queue: number;
	/** How long each may wait, in milliseconds; as long as it likes where that is undefined. */
	waitMs?: number;
	/** Called for each that begins to wait, and every second while any waits: who may have to make room for it. */
	onShort?: (place: Place, free: number) => void;
}

interface Waiting extends Place {
	timer: NodeJS.Timeout | undefined;
}

const LOOK_AGAIN_MS = 1000;

/**
 * Shares out what is scarce. Nobody may hold more than is left for all others, so that whoever comes finds something free,
 * however many the others want: one client gets half at the most, two a third each. Those that wait take turns by client, known
 * ones first; where too many wait, the newest goes of the client that has the most. See
 * docs/decisions/0007-cost-fairness-memory.md.
 */
export class FairQueue {
	readonly #options: FairQueueOptions;
	readonly #held = new Map<string, number>();
	/** By client, in the order of their turns: the first class goes before the second. */
	readonly #waiting: [known: Map<string, Waiting[]>, unknown: Map<string, Waiting[]>] = [new Map(), new Map()];
	#free: number;
	#length = 0;
	#looking: NodeJS.Timeout | undefined;

	constructor(options: FairQueueOptions) {
		this.#options = options;
		this.#free = options.capacity;
	}

	get free(): number {
		return this.#free;
	}

	/** How many wait. */
	get length(): number {
		return this.#length;
	}

	/** @returns how much a client holds */
	heldBy(client: string): number {
		return this.#held.get(client) ?? 0;
	}

	/** @returns whether the units were there, and are the client's now. Never waits. */
	take(client: string, units: number): boolean {
		if (!this.#isFreeFor(client, units)) {
			return false;
		}
		this.#free -= units;
		this.#held.set(client, this.heldBy(client) + units);
		return true;
	}

	/** Gives units back. */
	release(client: string, units: number): void {
		this.#free += units;
		const left = this.heldBy(client) - units;
		if (left > 0) {
			this.#held.set(client, left);
		} else {
			this.#held.delete(client);
		}
		if (this.#length > 0) {
			this.#giveTurns();
		}
	}

	/**
	 * @returns a function that leaves the queue, for who does not want its turn any more; undefined where nothing waits: it has
	 * got its turn, or was refused
	 */
	enter(place: Place): (() => void) | undefined {
		if (this.take(place.client, place.units)) {
			place.onTurn();
			return undefined;
		}
		if (this.#length >= this.#options.queue && !this.#makeRoom(place)) {
			place.onRefused(this.#options.refusal());
			return undefined;
		}
		const { waitMs } = this.#options;
		const waiting: Waiting = { ...place, timer: waitMs === undefined ? undefined : setTimeout(() => this.#refuse(waiting), waitMs) };
		const line = this.#waiting[place.isKnown ? 0 : 1];
		const own = line.get(place.client);
		if (own === undefined) {
			line.set(place.client, [waiting]);
		} else {
			own.push(waiting);
		}
		this.#length++;
		if (this.#options.onShort !== undefined) {
			this.#options.onShort(waiting, this.#free);
			this.#looking ??= setInterval(() => this.#lookAgain(), LOOK_AGAIN_MS).unref();
		}
		return () => this.#leave(waiting);
	}

	/**
	 * Does some work when it is its turn, for one unit.
	 *
	 * @param signal ends the wait
	 * @throws the refusal, the signal's reason, or what the work throws
	 */
	run<T>({ client, isKnown }: Pick<Place, 'client' | 'isKnown'>, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
		return new Promise((resolve, reject) => {
			if (signal.aborted) {
				reject(signal.reason as Error);
				return;
			}
			let leave: (() => void) | undefined = undefined;
			const abort = (): void => {
				leave?.();
				reject(signal.reason as Error);
			};
			leave = this.enter({
				client,
				isKnown,
				units: 1,
				onTurn: () => {
					signal.removeEventListener('abort', abort);
					work()
						.finally(() => this.release(client, 1))
						.then(resolve, reject);
				},
				onRefused: reject,
			});
			if (leave !== undefined) {
				signal.addEventListener('abort', abort, { once: true });
			}
		});
	}

	#isFreeFor(client: string, units: number): boolean {
		return units <= this.#free && (client === '' || this.heldBy(client) + units <= this.#free);
	}

	#giveTurns(): void {
		for (const line of this.#waiting) {
			for (let next = this.#nextOf(line); next !== undefined; next = this.#nextOf(line)) {
				this.#leave(next);
				this.take(next.client, next.units);
				// To the end of the turns.
				const others = line.get(next.client);
				if (others !== undefined) {
					line.delete(next.client);
					line.set(next.client, others);
				}
				next.onTurn();
			}
		}
	}

	#nextOf(line: Map<string, Waiting[]>): Waiting | undefined {
		for (const [first] of line.values()) {
			if (this.#isFreeFor(first!.client, first!.units)) {
				return first;
			}
		}
		return undefined;
	}

	/** @returns whether somebody went who has more waiting than the newcomer would have */
	#makeRoom({ client, isKnown }: Place): boolean {
		for (const line of isKnown ? this.#waiting.toReversed() : [this.#waiting[1]]) {
			let longest: Waiting[] | undefined;
			for (const own of line.values()) {
				if (own.length > (longest?.length ?? 0)) {
					longest = own;
				}
			}
			const isOther = isKnown && line === this.#waiting[1];
			if (longest !== undefined && (isOther || longest.length > (line.get(client)?.length ?? 0) + 1)) {
				this.#refuse(longest.at(-1)!);
				return true;
			}
		}
		return false;
	}

	#lookAgain(): void {
		for (const line of this.#waiting) {
			for (const [first] of line.values()) {
				this.#options.onShort?.(first!, this.#free);
			}
		}
	}

	#refuse(waiting: Waiting): void {
		this.#leave(waiting);
		waiting.onRefused(this.#options.refusal());
	}

	#leave(waiting: Waiting): void {
		const line = this.#waiting[waiting.isKnown ? 0 : 1];
		const own = line.get(waiting.client);
		const at = own?.indexOf(waiting) ?? -1;
		if (own === undefined || at < 0) {
			return;
		}
		clearTimeout(waiting.timer);
		own.splice(at, 1);
		if (own.length === 0) {
			line.delete(waiting.client);
		}
		if (--this.#length === 0) {
			clearInterval(this.#looking);
			this.#looking = undefined;
		}
	}
}
