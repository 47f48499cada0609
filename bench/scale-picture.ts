import { median } from './statistics.ts';
import type { Series } from './scale-report.ts';

const WIDTH = 720;
const HEIGHT = 360;
const MARGIN = { left: 56, right: 16, top: 16, bottom: 72 };
/** Powers of ten along the axis of sizes. */
const DECADES = 5;
/** Told apart also by people who see colours otherwise, and by their marks. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73'];

/** @returns an SVG: processor time of a request, as a multiple of that of the smallest size, by size */
export function picture(series: Series[]): string {
	const lines = series.map(({ what, steps }) => ({
		what,
		points: steps.map(({ size, cpu }) => ({ size, ratio: median(cpu) / median(steps[0]!.cpu) })),
	}));
	const highest = Math.ceil(Math.max(2, ...lines.flatMap(({ points }) => points.map(({ ratio }) => ratio))));
	const x = (size: number): number => MARGIN.left + (Math.log10(size) / DECADES) * (WIDTH - MARGIN.left - MARGIN.right);
	const y = (ratio: number): number => HEIGHT - MARGIN.bottom - (ratio / highest) * (HEIGHT - MARGIN.top - MARGIN.bottom);
	const grid = Array.from({ length: highest + 1 }, (_, ratio) => {
		const at = y(ratio).toFixed(1);
		return `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${at}" y2="${at}" stroke="#ddd"/><text x="${MARGIN.left - 8}" y="${Number(at) + 4}" text-anchor="end">${ratio}</text>`;
	});
	const sizes = Array.from({ length: DECADES + 1 }, (_, decade) => {
		const at = x(10 ** decade).toFixed(1);
		return `<text x="${at}" y="${HEIGHT - MARGIN.bottom + 20}" text-anchor="middle">${(10 ** decade).toLocaleString('en')}</text>`;
	});
	const curves = lines.map(({ points }, i) => {
		const path = points.map(({ size, ratio }) => `${x(size).toFixed(1)},${y(ratio).toFixed(1)}`);
		const marks = path.map((point) => `<circle cx="${point.split(',')[0]}" cy="${point.split(',')[1]}" r="4"/>`);
		return `<g fill="${COLOURS[i]}" stroke="${COLOURS[i]}"><polyline points="${path.join(' ')}" fill="none" stroke-width="2"${i === 0 ? '' : ` stroke-dasharray="${i * 4}"`}/>${marks.join('')}</g>`;
	});
	const legend = lines.map(({ what }, i) => {
		const top = HEIGHT - MARGIN.bottom + 36 + i * 14;
		return `<rect x="${MARGIN.left}" y="${top - 8}" width="10" height="8" fill="${COLOURS[i]}"/><text x="${MARGIN.left + 16}" y="${top}">${what}</text>`;
	});
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" role="img" aria-label="Processor time of a request, as a multiple of the smallest size's">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
${[...grid, ...sizes, ...curves, ...legend].join('\n')}
</svg>
`;
}
