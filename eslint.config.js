import tseslint from 'typescript-eslint';

export default tseslint.config(
	{ ignores: ['dist/'] },
	tseslint.configs.recommended,
	{
		files: ['**/*.ts'],
		// With types: a promise that nobody waits for, or a case that nobody thought of, is a defect that no test has to meet.
		languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
		rules: {
			'@typescript-eslint/await-thenable': 'error',
			// node:test waits for what is registered at the top of a file.
			'@typescript-eslint/no-floating-promises': [
				'error',
				{ allowForKnownSafeCalls: [{ from: 'package', package: 'node:test', name: ['test', 'it', 'suite', 'describe'] }] },
			],
			'@typescript-eslint/no-misused-promises': 'error',
			'@typescript-eslint/no-for-in-array': 'error',
			'@typescript-eslint/no-implied-eval': 'error',
			'@typescript-eslint/only-throw-error': 'error',
			'@typescript-eslint/prefer-promise-reject-errors': 'error',
			'@typescript-eslint/restrict-plus-operands': 'error',
			'@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
			'no-console': ['error', { allow: ['error'] }],
			eqeqeq: ['error', 'always', { null: 'ignore' }],
			'@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
			'@typescript-eslint/no-non-null-assertion': 'off',
			'@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
		},
	},
	{
		// What tests read from answers is as it is, and the demo and the benchmark speak to people.
		files: ['test/**', 'demo/**', 'bench/**'],
		rules: { 'no-console': 'off', '@typescript-eslint/no-explicit-any': 'off' },
	},
	{
		// http-proxy-middleware's handlers return promises that Express 4 does not know.
		files: ['bench/express/**'],
		rules: { '@typescript-eslint/no-misused-promises': 'off' },
	},
);
