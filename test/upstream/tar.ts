export interface TarFile {
	path: string;
	content: Buffer;
	mode?: number;
}

const BLOCK = 512;

/** @returns a tar archive (POSIX ustar) of regular files, the same bytes for the same files. Paths of up to 100 bytes. */
export function tar(files: TarFile[]): Buffer {
	const parts = files.flatMap(({ path, content, mode = 0o644 }) => [
		header(path, content.length, mode),
		content,
		Buffer.alloc(-content.length & (BLOCK - 1)),
	]);
	return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function header(path: string, size: number, mode: number): Buffer {
	const block = Buffer.alloc(BLOCK);
	const octal = (value: number, offset: number, length: number): number => block.write(value.toString(8).padStart(length - 1, '0'), offset);
	block.write(path, 0, 100);
	octal(mode, 100, 8);
	octal(0, 108, 8); // owner
	octal(0, 116, 8); // group
	octal(size, 124, 12);
	octal(0, 136, 12); // modification time
	block.write('        ', 148); // the checksum counts itself as spaces
	block.write('0', 156); // a regular file
	block.write('ustar\u000000', 257);
	octal(
		block.reduce((sum, byte) => sum + byte, 0),
		148,
		7,
	);
	return block;
}
