import tseslint from 'typescript-eslint';

export default tseslint.config(
	tseslint.configs.recommended,
	{
		files: ['**/*.ts'],
		rules: {
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
);
