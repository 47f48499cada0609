/**
 * An expression for a page: its texts that are hard to read, each as `<element> "<text>" <contrast>`.
 *
 * Contrast as WCAG 2.2 defines it ("contrast ratio", "relative luminance"), of a text's colour and the nearest ground behind it.
 * @param least the smallest contrast that will do
 */
export function lowContrast(least: number): string {
	return `(${find.toString()})(${least})`;
}

/* Runs in the page, so it can use nothing but what is in it, and is typed as little as the page is. */
function find(least: number): string[] {
	const { document, getComputedStyle, NodeFilter } = globalThis as any;
	const luminance = (colour: string): number => {
		const [r = 0, g = 0, b = 0] = colour.match(/[\d.]+/g)!.map((part) => {
			const value = Number(part) / 255;
			return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
		});
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const groundOf = (element: any): string => {
		const colour: string = getComputedStyle(element ?? document.documentElement).backgroundColor;
		return element === null ? 'rgb(255, 255, 255)' : colour === 'rgba(0, 0, 0, 0)' ? groundOf(element.parentElement) : colour;
	};
	const found: string[] = [];
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const text: string = walker.currentNode.textContent.trim();
		const element = walker.currentNode.parentElement;
		if (text === '' || element.offsetParent === null) {
			continue;
		}
		const [dark = 0, light = 0] = [luminance(getComputedStyle(element).color), luminance(groundOf(element))].sort((a, b) => a - b);
		const contrast = (light + 0.05) / (dark + 0.05);
		if (contrast < least) {
			found.push(`${element.localName} "${text.slice(0, 40)}" ${contrast.toFixed(2)}`);
		}
	}
	return found;
}
