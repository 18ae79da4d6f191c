/** The program `restic-engine`. */
const words = process.argv.slice(2);
if (words.length === 1 && words[0] === 'version' && !process.env['RESTIC_FEATURES']) {
  // Asked for by scripts and health checks, again and again: not worth loading what understands a command line.
  const { versionLine } = await import('./version.ts');
  // Who reads it may be gone, as `head` goes: there is nothing to save.
  process.stdout.on('error', () => process.exit(1));
  process.stdout.write(`${versionLine(false)}\n`);
} else {
  const { run } = await import('./run.ts');
  process.exitCode = await run(words, process.env);
}

export {};
