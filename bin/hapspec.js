#!/usr/bin/env node
import('../dist/harness/cli/main.js').then((cli) => cli.main(process.argv), (error) => { console.error(error.code === 'ERR_MODULE_NOT_FOUND' ? 'hapspec: the build is missing: run "npm ci" first' : `hapspec: ${error.message}`); process.exitCode = 4; });
