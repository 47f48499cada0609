/**
 * Bounds a wait. The work itself goes on, and what becomes of it does not matter any more.
 *
 * @param ms milliseconds
 * @param late makes the error of a wait that is over
 * @returns what the work gives, if it does in time
 */
export function within<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => reject(late()), ms);
		work.then(
			(value) => {
				clearTimeout(timer);
				resolve(value);
			},
			(error: unknown) => {
				clearTimeout(timer);
				reject(error as Error);
			},
		);
	});
}
