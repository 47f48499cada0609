/** One row of the API: fields, and rows of other resources in arrays. */
type Row = Record<string, unknown>;

/** @returns whether a row meets a condition of the kind that `sdk.pine.get` takes as `$filter`, as far as this project uses them. @throws Error for others */
export function meets(filter: unknown, row: Row): boolean {
	return Object.entries(filter as Row).every(([key, wanted]) => {
		switch (key) {
			case '$or':
				return (wanted as unknown[]).some((one) => meets(one, row));
			case '$and':
				return (wanted as unknown[]).every((one) => meets(one, row));
			default:
				if (key.startsWith('$') || !(key in row)) {
					throw new Error(`${key} is not known here`);
				}
				return typeof wanted === 'object' && wanted !== null ? compares(wanted as Row, row[key]) : row[key] === wanted;
		}
	});
}

function compares(condition: Row, value: unknown): boolean {
	return Object.entries(condition).every(([operator, wanted]) => {
		switch (operator) {
			case '$startswith':
				return String(value).startsWith(String(wanted));
			case '$in':
				return (wanted as unknown[]).includes(value);
			case '$lt':
				return (value as number) < (wanted as number);
			case '$le':
				return (value as number) <= (wanted as number);
			case '$gt':
				return (value as number) > (wanted as number);
			default:
				throw new Error(`${operator} is not known here`);
		}
	});
}
