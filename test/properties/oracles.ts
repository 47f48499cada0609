/** The distribution-spec's grammar of names, once more and in another way than the one under test. */
export function isNameByHand(text: string): boolean {
	return text.length <= 255 && text.split('/').every(isComponentByHand);
}

function isComponentByHand(text: string): boolean {
	let separator = '';
	let hasCharacter = false;
	for (const character of text) {
		if ('abcdefghijklmnopqrstuvwxyz0123456789'.includes(character)) {
			if (separator !== '' && !(hasCharacter && isSeparator(separator))) {
				return false;
			}
			separator = '';
			hasCharacter = true;
		} else {
			separator += character;
		}
	}
	return hasCharacter && separator === '';
}

function isSeparator(text: string): boolean {
	return text === '.' || text === '_' || text === '__' || [...text].every((character) => character === '-');
}

/** Words for the release that a fleet tracks, which all mean the same. */
export const TRACKED = ['latest', 'current', 'default', 'pinned'];
