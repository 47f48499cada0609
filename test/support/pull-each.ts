import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { ImageSummary } from '../upstream/index.ts';
import type { Engine } from './engine.ts';

/** A reference, and the image that Docker gets for it or what it says instead. */
export type Row = [reference: string, expected: ImageSummary | RegExp];

const OWN_PLATFORM = `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`;

/** Pulls each reference with Docker Engine, as a test of its own, and removes the image again. */
export async function pullEach(t: TestContext, engine: Engine, host: string, rows: Row[]): Promise<void> {
	for (const [reference, expected] of rows) {
		const isSentence = expected instanceof RegExp;
		await t.test(`${reference}: ${isSentence ? expected.source : 'pulled'}`, async () => {
			const image = `${host}/${reference}`;
			const { code, printed } = await engine.docker('pull', image);
			if (isSentence) {
				assert.equal(code, 1, printed);
				assert.match(printed, expected);
				return;
			}
			assert.equal(code, 0, printed);
			assert.ok(printed.includes(`Digest: ${expected.digest}`), printed);
			// The engine has verified every layer against this.
			assert.equal((await engine.docker('image', 'inspect', '--format', '{{.Id}}', image)).printed.trim(), configOf(expected));
			await engine.docker('image', 'rm', '--force', image);
		});
	}
}

/** What the engine calls an image: its configuration's digest; of several platforms, that of the machine. */
function configOf({ platforms }: ImageSummary): string {
	const image = platforms.length === 1 ? platforms[0] : platforms.find(({ platform }) => platform === OWN_PLATFORM);
	assert.ok(image, `there is no image for ${OWN_PLATFORM}`);
	return image.configDigest;
}
