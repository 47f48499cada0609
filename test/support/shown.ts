/** What a browser shows of a page, a line of it a line. */
export function shown(page: string): string {
	const [, body = ''] = page.split('<main>');
	const entities: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', '#39': "'" };
	return body.replace(/<[^>]*>/g, '').replace(/&([^;]+);/g, (_all, entity: string) => entities[entity]!);
}
