/** @returns the middle value; of an even number of values, the higher of the two in the middle. NaN of none. */
export function median(values: number[]): number {
	return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** @returns the median of the ratios round by round: what disturbs the machine disturbs neighbours in time alike */
export function pairedRatio(values: number[], base: number[]): number {
	return median(values.flatMap((value, round) => (base[round] === undefined ? [] : [value / base[round]])));
}

/** @returns the median, with the least and the most in brackets */
export function withSpread(values: number[]): string {
	return `${figure(median(values))} (${figure(Math.min(...values))}–${figure(Math.max(...values))})`;
}

/** @returns a number with as many digits as mean anything */
export function figure(value: number): string {
	return value >= 100 ? String(Math.round(value)) : value.toFixed(value >= 10 ? 1 : 2);
}
