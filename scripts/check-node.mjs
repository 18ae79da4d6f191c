// Plain JavaScript on purpose: it must still run, and explain itself, on a Node that cannot strip types.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  console.error(`restic-engine needs Node 22.19 or newer, this is ${process.version} (${process.execPath}).`);
  console.error('`npx -y pnpm@10.34.9 install` brings its own.');
  process.exit(1);
}
console.log(`Node ${process.version}`);
