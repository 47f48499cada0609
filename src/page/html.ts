/** HTML that has been escaped where it had to be. */
export class Html {
	readonly text: string;

	constructor(text: string) {
		this.text = text;
	}
}

type Value = Html | string | number | undefined | readonly (Html | string | number)[];

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/**
 * A template of HTML: every value is escaped, so that it may stand as text or in a quoted attribute, unless it is `Html` already.
 * Lists are joined, undefined is nothing.
 */
export function html(parts: TemplateStringsArray, ...values: Value[]): Html {
	return new Html(parts.reduce((text, part, i) => `${text}${render(values[i - 1])}${part}`));
}

function render(value: Value): string {
	if (value === undefined) {
		return '';
	}
	if (value instanceof Html) {
		return value.text;
	}
	return Array.isArray(value) ? value.map(render).join('') : String(value).replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}
