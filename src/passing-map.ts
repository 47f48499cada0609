/**
 * A map of what comes and goes with requests.
 *
 * When entries of a `Map` come and go, V8 makes its table anew every few dozen of them. The old tables keep what they held at
 * that moment, and of a map that lives long they are old: until the next full collection each of them is as good as a root, for
 * the values and all that hangs on them. Measured with a map of manifests that are being fetched: collections of the young
 * generation took eight times as long. Here a table holds boxes, which are emptied.
 */
export class PassingMap<V> {
	readonly #boxes = new Map<string, { value: V | undefined }>();

	get(key: string): V | undefined {
		return this.#boxes.get(key)?.value;
	}

	set(key: string, value: V): void {
		this.delete(key);
		this.#boxes.set(key, { value });
	}

	delete(key: string): void {
		const box = this.#boxes.get(key);
		if (box !== undefined) {
			box.value = undefined;
			this.#boxes.delete(key);
		}
	}
}
