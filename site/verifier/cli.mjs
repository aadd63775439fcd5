#!/usr/bin/env node
// The verifier on the command line: node site/verifier/cli.mjs verify PACK [flags].
import { webcrypto } from 'node:crypto';
import { run } from './command.mjs';

globalThis.crypto ??= webcrypto; // Node 18 has it, and not under this name

process.exitCode = await run(process.argv.slice(2), console.log, console.error);
